"""Refuse bad input the one way all commands do: one line on standard error, exit code 2.

Apart, so that no command invents its own.
"""

import click


class Refused(click.ClickException):
    """Bad input, told in one line that names what, where and what to do."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        """Keep the line, and which command refuses: click has forgotten that when it shows it."""
        super().__init__(message)
        context = click.get_current_context(silent=True)
        self.program = f"tessera {context.info_name}" if context else "tessera"

    def show(self, file: object = None) -> None:
        """Print the line; ``file`` is click's and not used."""
        del file
        click.echo(f"{self.program}: {self.message}", err=True)


class OneLine(click.Command):
    """A command that refuses a wrong command line in one line too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; raise ``Refused`` for what click cannot take."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as bad:
            message = f"{bad.format_message().rstrip('.')}; see --help"
            raise Refused(message) from None
