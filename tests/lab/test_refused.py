import click
import pytest
from click.testing import CliRunner, Result

from tessera.lab.refused import OneLine, OneLineGroup, Refused


@click.command("knock", cls=OneLine)
@click.option("--times", type=int, required=True)
def knock(times: int) -> None:
    if times < 1:
        message = "--times 0: nobody hears that; knock once"
        raise Refused(message)
    click.echo("knock " * times)


@click.group(cls=OneLineGroup)
def house() -> None: ...


house.add_command(knock)


def refused(*words: str) -> Result:
    result = CliRunner().invoke(house, ["knock", *words])
    assert (result.exit_code, result.stdout) == (2, "")
    return result


def test_a_refusal_is_one_line_that_begins_with_the_command() -> None:
    assert refused("--times", "0").stderr == (
        "tessera knock: --times 0: nobody hears that; knock once\n"
    )


def test_a_wrong_command_line_is_refused_in_one_line_too() -> None:
    assert refused().stderr == "tessera knock: Missing option '--times'; see --help\n"
    assert refused("--times", "x").stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "what"),
    [(["knokc"], "No such command 'knokc'"), (["--loud"], "No such option '--loud'")],
)
def test_a_group_refuses_what_it_does_not_know_in_one_line(words: list[str], what: str) -> None:
    result = CliRunner().invoke(house, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"tessera: {what}")
    assert result.stderr.count("\n") == 1


def test_a_message_of_several_lines_is_told_in_one() -> None:
    assert Refused("a\nb: is not a folder").message == "a b: is not a folder"


def test_a_group_without_a_command_shows_its_help() -> None:
    assert "knock" in CliRunner().invoke(house, []).output


def test_help_is_no_refusal() -> None:
    result = CliRunner().invoke(house, ["knock", "--help"])
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_refusal_outside_of_any_command_still_names_the_program() -> None:
    assert Refused("no").program == "tessera"
