"""Refuse bad input the one way all commands do: one line on standard error.

Apart, so that the command line says nothing in two voices.
"""

import click

BAD_INPUT, NO_ANSWER = 2, 3


class Refused(click.ClickException):
    """Bad input, told in one line."""

    exit_code = BAD_INPUT

    def __init__(self, message: str) -> None:
        """Keep the message as one line."""
        super().__init__(" ".join(message.split()))

    def show(self, file: object = None) -> None:
        """Print the line; ``file`` is click's and not used."""
        del file
        click.echo(f"tessera-tui: {self.message}", err=True)


class NoAnswer(Refused):
    """Nobody answers where the aggregator should be."""

    exit_code = NO_ANSWER


class OneLine(click.Command):
    """A command that refuses a wrong command line in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; raise ``Refused`` for what click cannot take."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as bad:
            message = f"{bad.format_message().rstrip('.')}; see --help"
            raise Refused(message) from None
