"""Refuse bad input the one way all commands do: one line on standard error, and a status.

Apart, so that no command invents its own.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import click

BAD_INPUT, INTERRUPTED = 2, 130  # exit statuses
HELP: Final = {"help_option_names": ["-h", "--help"]}  # context settings of every program
_OUTPUT_FAILS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Refused(click.ClickException):
    """Bad input, told in one line that names what, where and what to do."""

    def __init__(self, message: str, status: int = BAD_INPUT) -> None:
        """Keep the message as one line, the exit status, and who refuses: click forgets that."""
        super().__init__(" ".join(line.strip() for line in message.splitlines()))
        self.exit_code = status  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # click asks the instance
        self.program = _program()

    def show(self, file: object = None) -> None:
        """Print the line; ``file`` is click's and not used."""
        del file
        click.echo(f"{self.program}: {self.message}", err=True)


class OneLine(click.Command):
    """A command that refuses a wrong command line, or a full disk, in one line too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; raise ``Refused`` for what click cannot take."""
        if not args and self.no_args_is_help:
            return super().parse_args(ctx, args)  # click shows the help, by an error of its own
        with _in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run as click does; raise ``Refused`` where the output cannot be written."""
        with _in_one_line():
            return super().invoke(ctx)


class OneLineGroup(OneLine, click.Group):
    """A group of commands that refuses an unknown command or option in one line too."""

    command_class = OneLine


def warn(line: str) -> None:
    """Tell a person ``line`` on standard error, at once, in the name of the command that runs."""
    click.echo(f"{_program()}: {line}", err=True)


def _program() -> str:
    """Return the names of the command that runs and of those above it, as "tessera replay"."""
    context = click.get_current_context(silent=True)
    names: list[str] = []
    while context is not None:
        names.insert(0, context.command.name or "")
        context = context.parent
    return " ".join(names) or "tessera"


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as bad:
        message = f"{bad.format_message().rstrip('.')}; see --help"
        raise Refused(message) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except OSError as bad:
        # A closed pipe is left to click: whoever read has read enough.
        if bad.filename is not None or bad.errno not in _OUTPUT_FAILS:
            raise
        _forget_the_output()
        message = f"cannot write the output ({bad.strerror}); make room or send it elsewhere"
        raise Refused(message) from None


def _forget_the_output() -> None:
    """Send what is left of standard output nowhere: the flush at exit would fail again."""
    with suppress(OSError):  # an output that is no file has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
