import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from tessera.settings.load import Settings, load
from tessera.settings.toml import in_effect


class Example(Settings):
    job: str = ""
    shards: tuple[str, ...] = ()
    seconds: float = 1.0
    hosts: int = 0
    paced: bool = True
    state_dir: Path | None = None
    topology: Path | None = None
    token: SecretStr = SecretStr("")


def shown(settings: Example, folder: Path) -> list[str]:
    return in_effect(settings, folder).splitlines()


@pytest.mark.parametrize("job", ['a "quoted" job', "back\\slash", "two\nlines", "\x7f", "größe 🙂"])
def test_settings_in_effect_are_written_as_a_file_that_sets_them(tmp_path: Path, job: str) -> None:
    found = Example(
        job=job,
        shards=("gpu-0", "gpu-1"),
        seconds=1e-7,
        hosts=3,
        paced=False,
        state_dir=tmp_path,
        topology=tmp_path / "t.json",
    )
    again = tomllib.loads(in_effect(found, tmp_path / "agent"))
    assert load(Example, flags=again, environ={}) == found


def test_what_was_not_said_is_marked_and_what_is_not_set_is_a_comment(tmp_path: Path) -> None:
    lines = shown(Example(hosts=3), tmp_path / "agent")
    assert {"hosts = 3", "seconds = 1.0  # default", "# topology is not set"} <= set(lines)


def test_the_folder_is_told_even_if_nobody_named_one(tmp_path: Path) -> None:
    lines = shown(Example(), tmp_path / "agent")
    assert f'state_dir = "{tmp_path}"  # default' in lines
    assert lines[-1] == f"# writes in {tmp_path / 'agent'}"


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    lines = shown(Example(token=SecretStr("0123456789abcdef")), tmp_path)
    assert "# token is set, and not shown" in lines
    assert "0123" not in "".join(lines)
    assert "# token is not set" in shown(Example(), tmp_path)
