"""Settings come from flags, environment, file and defaults, and are refused in one voice."""

from pathlib import Path

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from tessera.settings.load import BadSettings, Settings, load


class Peers(BaseModel, extra="forbid", frozen=True):
    smallest: int = 32


class Example(Settings):
    block: int = 5
    log_layout: str = "text"
    racks: tuple[str, ...] = ()
    token: SecretStr = SecretStr("none")
    peers: Peers = Peers()
    share: float = Field(default=0.5, gt=0.0)


class Demanding(Settings):
    url: str

    @field_validator("url")
    @classmethod
    def has_a_scheme(cls, url: str) -> str:
        if url == "?":
            message = "is no URL"
            raise ValueError(message)
        if "://" not in url:
            message = "has no scheme; write for instance https://a"
            raise ValueError(message)
        return url


def toml(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(
    file: Path | None = None,
    kind: type[Settings] = Example,
    environ: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
) -> BadSettings:
    with pytest.raises(BadSettings) as caught:
        load(kind, flags=flags or {}, environ=environ or {}, file=file)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    tmp_path: Path,
) -> None:
    file = toml(tmp_path, "block = 10\nlog_layout = 'json'\n")
    environ = {"TESSERA_BLOCK": "30"}
    assert load(Example, flags={}, environ={}).block == 5
    assert load(Example, flags={}, environ={}, file=file).block == 10
    assert load(Example, flags={}, environ=environ, file=file).block == 30
    top = load(Example, flags={"block": 60}, environ=environ, file=file)
    assert (top.block, top.log_layout) == (60, "json")


def test_a_flag_that_was_not_given_leaves_the_key_to_the_others() -> None:
    assert load(Example, flags={"block": None}, environ={"TESSERA_BLOCK": "30"}).block == 30


def test_a_table_is_overlaid_key_by_key(tmp_path: Path) -> None:
    file = toml(tmp_path, "[peers]\nsmallest = 16\n")
    assert load(Example, flags={}, environ={}, file=file).peers.smallest == 16
    environ = {"TESSERA_PEERS__SMALLEST": "64"}
    assert load(Example, flags={}, environ=environ, file=file).peers.smallest == 64


def test_the_prefix_keeps_programs_apart() -> None:
    environ = {"TESSERA_AGENT_BLOCK": "30", "TESSERA_TUI_THEME": "dark"}
    found = load(Example, flags={}, environ=environ, prefix="TESSERA_AGENT_")
    assert found.block == 30


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERA_BLOCK", "30")
    assert Example().block == 5
    assert load(Example, flags={}, environ={}).block == 5


def test_an_unknown_key_names_file_and_key_and_the_key_that_was_meant(tmp_path: Path) -> None:
    file = toml(tmp_path, "blocks = 5\n")
    assert str(refusal(file)) == f"{file}: blocks: unknown key; did you mean 'block'?"


def test_a_key_that_the_settings_library_takes_for_itself_is_unknown(tmp_path: Path) -> None:
    bad = refusal(toml(tmp_path, "_env_file = '.env'\n"))
    assert (bad.key, bad.what) == ("_env_file", "unknown key")


def test_an_unknown_key_inside_a_table_is_refused(tmp_path: Path) -> None:
    bad = refusal(toml(tmp_path, "[peers]\nlargest = 1\n"))
    assert (bad.key, bad.what, bad.todo) == ("peers.largest", "unknown key", "remove it")


def test_a_validators_own_words_say_what_is_wrong_and_what_to_do() -> None:
    bad = refusal(kind=Demanding, flags={"url": "a"})
    assert str(bad) == "--url: has no scheme; write for instance https://a"
    bad = refusal(kind=Demanding, flags={"url": "?"})
    assert str(bad) == "--url: is no URL; correct it"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", float("nan")])
def test_what_is_no_finite_number_is_not_a_number(value: object) -> None:
    bad = refusal(flags={"share": value})
    assert str(bad) == "--share: is not a number; write a finite one"


def test_a_key_that_flag_or_variable_names_is_not_repeated_and_one_in_a_file_is_told(
    tmp_path: Path,
) -> None:
    flag, variable = refusal(flags={"share": -1}), refusal(environ={"TESSERA_SHARE": "-1"})
    assert str(flag).startswith("--share: input should be greater")
    assert str(variable).startswith("TESSERA_SHARE: input should be greater")
    file = refusal(toml(tmp_path, "share = -1\n"))
    assert str(file).startswith(f"{file.source}: share: input should be greater")
    table = refusal(flags={"peers": {"smallest": "few"}})
    assert str(table).startswith("--peers-smallest: input should be")
    assert str(refusal(flags={"shares": 1})).startswith("--shares: unknown key")


def test_an_unknown_variable_is_refused() -> None:
    bad = refusal(environ={"TESSERA_COLOUR": "red"})
    assert str(bad).startswith("TESSERA_COLOUR: unknown setting; remove it; known: block, ")


@pytest.mark.parametrize(
    ("environ", "flags", "source"),
    [
        ({}, {}, "agent.toml"),
        ({"TESSERA_BLOCK": "six"}, {}, "TESSERA_BLOCK"),
        ({"TESSERA_BLOCK": "six"}, {"block": "seven"}, "--block"),
    ],
)
def test_a_bad_value_is_blamed_on_the_source_that_won(
    tmp_path: Path, environ: dict[str, str], flags: dict[str, object], source: str
) -> None:
    file = toml(tmp_path, "block = 'five'\n")
    bad = refusal(file, environ=environ, flags=flags)
    assert bad.source.endswith(source)
    assert (bad.key, bad.todo) == ("block", "correct it")
    assert "valid integer" in bad.what


def test_a_bad_value_of_a_table_is_blamed_on_its_variable() -> None:
    bad = refusal(environ={"TESSERA_PEERS__SMALLEST": "few"})
    assert (bad.source, bad.key) == ("TESSERA_PEERS__SMALLEST", "peers.smallest")


def test_a_list_in_the_environment_must_be_json() -> None:
    good = load(Example, flags={}, environ={"TESSERA_RACKS": '["r1", "r2"]'})
    assert good.racks == ("r1", "r2")
    bad = refusal(environ={"TESSERA_RACKS": "r1,r2"})
    assert (bad.source, bad.todo) == ("TESSERA_RACKS", "write it as JSON")


def test_several_problems_make_one_error_that_counts_the_rest(tmp_path: Path) -> None:
    bad = refusal(toml(tmp_path, "block = 'five'\nlog_layout = 3\nracks = 4\n"))
    assert bad.todo.endswith("(2 more after this)")


def test_a_missing_value_without_default_is_named() -> None:
    bad = refusal(kind=Demanding)
    assert str(bad) == "settings: url: has no value and no default; give it a value"


def test_broken_toml_names_the_place(tmp_path: Path) -> None:
    assert "line 2" in refusal(toml(tmp_path, "block = 5\nlog_layout =\n")).what


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    bad = refusal(tmp_path / name)
    assert bad.source == str(tmp_path / name)
    assert bad.todo == "name a readable TOML file"


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(b"log_layout = '\xff'\n")
    assert refusal(file).what == "is not UTF-8 text"


def test_a_secret_is_never_repeated_in_the_error(tmp_path: Path) -> None:
    file = toml(tmp_path, "token = ['hush']\n")
    assert "hush" not in str(refusal(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [("q = " + "9" * 5000, "thousands of digits"), ("q = " + "[" * 5000, "nested too deeply")],
)
def test_a_file_that_no_reader_bears_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=said) as refused:
        load(Settings, flags={}, environ={}, file=file)
    assert "\n" not in str(refused.value)
