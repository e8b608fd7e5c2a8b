import tomllib
from pathlib import Path

import pytest

from tessera.adapters.sources import SourceOptions
from tessera.agent.config import AgentSettings, own_environ, state_folder, told
from tessera.settings.load import BadSettings, load


def read(**flags: object) -> AgentSettings:
    return load(AgentSettings, flags=flags, environ={})


def test_the_defaults_are_those_that_are_promised() -> None:
    found = read()
    assert found.aggregator == "127.0.0.1:9460"
    assert found.agent_http == "127.0.0.1:9462"
    assert (found.source, found.tick_seconds, found.budget) == ("auto", 1.0, 0.8)
    assert found.options == SourceOptions()


def test_flags_come_before_variables_and_those_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('job = "file"\nrole = "file"\nsku = "file"\n', encoding="utf-8")
    environ, strange = own_environ({"TESSERA_JOB": "variable", "TESSERA_ROLE": "variable"})
    found = load(AgentSettings, flags={"job": "flag"}, environ=environ, file=file)
    assert (found.job, found.role, found.sku) == ("flag", "variable", "file")
    assert strange == ()


def test_what_the_source_is_told_is_what_was_set(tmp_path: Path) -> None:
    found = read(recording=tmp_path, beneath="rack-0", shards=("gpu-1",), began=5.0)
    assert found.options == SourceOptions(
        recording=tmp_path, beneath="rack-0", shards=("gpu-1",), began=5.0
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aggregator", "nowhere"),
        ("aggregator", ":9460"),
        ("agent_http", "127.0.0.1:99999"),
        ("tick_seconds", 0),
        ("budget", -1),
        ("log_layout", "xml"),
        ("source", ""),
        ("aggregators", "127.0.0.1:9460"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(key: str, value: object) -> None:
    with pytest.raises(BadSettings, match=key) as caught:
        read(**{key: value})
    assert "\n" not in str(caught.value)


def test_variables_of_the_other_programs_are_theirs_and_those_of_nobody_are_told() -> None:
    mine, strange = own_environ(
        {
            "TESSERA_LISTEN": "127.0.0.1:1",
            "TESSERA_STATE_DIR": "/x",
            "TESSERA_AGREGATOR": "127.0.0.1:2",
            "TESSERA_ZZZZ": "1",
            "PATH": "/bin",
        }
    )
    assert mine == {"TESSERA_STATE_DIR": "/x"}
    assert strange == (
        "TESSERA_AGREGATOR: no program of Tessera knows it; did you mean TESSERA_AGGREGATOR?",
        "TESSERA_ZZZZ: no program of Tessera knows it; it is ignored",
    )


def test_the_agent_writes_in_a_folder_of_its_own(tmp_path: Path) -> None:
    assert state_folder(read(state_dir=tmp_path), {}, tmp_path) == tmp_path / "agent"


def test_without_a_state_dir_the_users_own_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.agent.config.SYSTEM", tmp_path / "system")
    own = tmp_path / ".local" / "state" / "tessera" / "agent"
    assert state_folder(read(), {}, tmp_path) == own
    elsewhere = {"XDG_STATE_HOME": str(tmp_path / "x")}
    assert state_folder(read(), elsewhere, tmp_path) == tmp_path / "x" / "tessera" / "agent"
    (tmp_path / "system").mkdir()
    assert state_folder(read(), elsewhere, tmp_path) == tmp_path / "system" / "agent"


def test_settings_in_effect_are_told_as_a_file_that_sets_them(tmp_path: Path) -> None:
    found = read(job='a "quoted" job', shards=("gpu-0", "gpu-1"), state_dir=tmp_path)
    text = told(found, tmp_path / "agent")
    again = tomllib.loads(text)
    assert load(AgentSettings, flags=again, environ={}) == found
    assert 'source = "auto"  # default' in text
    assert "# recording is not set" in text
