"""Refuse bad input the one way all commands do: one line on standard error, exit code 2.

Apart, so that no command invents its own.
"""

import click


class Refused(click.ClickException):
    """Bad input, told in one line that names what, where and what to do."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the line; ``file`` is click's and not used."""
        del file
        context = click.get_current_context(silent=True)
        program = context.command_path if context else "tessera"
        click.echo(f"{program}: {self.message}", err=True)
