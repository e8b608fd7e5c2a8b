"""Refuse bad input the one way all commands do: one line on standard error, exit code 2.

Apart, so that no command invents its own.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click


class Refused(click.ClickException):
    """Bad input, told in one line that names what, where and what to do."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        """Keep the message as one line, and which command refuses: click forgets that."""
        super().__init__(" ".join(message.splitlines()))
        context = click.get_current_context(silent=True)
        named = context is not None and not isinstance(context.command, click.Group)
        self.program = f"tessera {context.info_name}" if context and named else "tessera"

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


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as bad:
        message = f"{bad.format_message().rstrip('.')}; see --help"
        raise Refused(message) from None
    except BrokenPipeError:
        raise  # whoever read has read enough: click ends the program silently
    except OSError as bad:
        _forget_the_output()
        message = f"cannot write the output ({bad.strerror}); make room or send it elsewhere"
        raise Refused(message) from None


def _forget_the_output() -> None:
    """Send what is left of standard output nowhere: the flush at exit would fail again."""
    with suppress(OSError):  # an output that is no file has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
