import errno

import click
import pytest
from click.testing import CliRunner, Result

from tessera.settings.refused import OneLine, OneLineGroup, Refused, warn


@click.command("knock", cls=OneLine)
@click.option("--times", type=int, required=True)
def knock(times: int) -> None:
    if times < 1:
        message = "--times 0: nobody hears that; knock once"
        raise Refused(message)
    click.echo("knock " * times)


@click.command("enter", cls=OneLine)
@click.option("--fault", type=int, default=0)
@click.option("--file")
def enter(fault: int, file: str | None) -> None:
    if fault == errno.EINTR:
        raise KeyboardInterrupt
    if fault:
        raise OSError(fault, "no way in", file) if file else OSError(fault, "no way in")
    warn("mind the step")
    message = "nobody is in"
    raise Refused(message, 4)


@click.group("tessera", cls=OneLineGroup)
def house() -> None: ...


house.add_command(knock)
house.add_command(enter)


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


def test_a_command_by_itself_is_called_by_its_own_name() -> None:
    assert CliRunner().invoke(knock, ["--times", "0"]).stderr.startswith("knock: --times 0")


def test_a_refusal_outside_of_any_command_still_names_the_program() -> None:
    assert Refused("no").program == "tessera"


def test_a_refusal_has_its_own_status_and_a_warning_its_own_line() -> None:
    result = CliRunner().invoke(house, ["enter"])
    assert result.exit_code == 4
    assert result.stderr == "tessera enter: mind the step\ntessera enter: nobody is in\n"


def test_an_interruption_ends_with_the_status_of_one() -> None:
    result = CliRunner().invoke(house, ["enter", "--fault", str(errno.EINTR)])
    assert (result.exit_code, result.output) == (130, "")


def test_an_output_that_is_full_is_refused_in_one_line() -> None:
    result = CliRunner().invoke(house, ["enter", "--fault", str(errno.ENOSPC)])
    assert result.exit_code == 2
    assert result.stderr == (
        "tessera enter: cannot write the output (no way in); make room or send it elsewhere\n"
    )


@pytest.mark.parametrize(
    "words", [["--fault", str(errno.EACCES)], ["--fault", str(errno.ENOSPC), "--file", "kept"]]
)
def test_another_fault_is_not_called_one_of_the_output(words: list[str]) -> None:
    result = CliRunner().invoke(house, ["enter", *words])
    assert isinstance(result.exception, OSError)
    assert result.stderr == ""


def test_a_closed_pipe_is_no_refusal() -> None:
    result = CliRunner().invoke(house, ["enter", "--fault", str(errno.EPIPE)])
    assert (result.exit_code, result.stderr) == (1, "")
