from pathlib import Path

import pytest

from tessera.adapters.sources import SourceOptions
from tessera.agent.config import AgentSettings
from tessera.settings.environ import own_environ
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
    environ, strange = own_environ("agent", {"TESSERA_JOB": "variable", "TESSERA_ROLE": "variable"})
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
    with pytest.raises(BadSettings, match="--" + key.replace("_", "-")) as caught:
        read(**{key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["host", "job", "role", "sku"])
def test_a_name_is_one_printable_line_of_a_length_that_the_aggregator_takes(key: str) -> None:
    assert read(**{key: "a" * 512}).model_dump()[key] == "a" * 512
    with pytest.raises(BadSettings, match=f"^--{key}: is too long; use at most 512"):
        read(**{key: "a" * 513})
    with pytest.raises(BadSettings, match=f"^--{key}: is not printable; use one line"):
        read(**{key: "a\nb"})
