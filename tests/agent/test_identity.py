import socket
from pathlib import Path
from random import Random

import pytest

from tessera.agent.identity import BOOT_ID, MACHINE_ID, identify


@pytest.fixture
def chance() -> Random:
    return Random(3)  # noqa: S311  chance, not secrets


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_host_that_is_named_is_called_so(tmp_path: Path, chance: Random) -> None:
    put(tmp_path, MACHINE_ID[0], "abc\n")
    assert identify("node-7", chance, tmp_path).host == "node-7"


@pytest.mark.parametrize("name", MACHINE_ID)
def test_else_it_is_the_machines_id(tmp_path: Path, chance: Random, name: str) -> None:
    put(tmp_path, name, "abc\n")
    assert identify("", chance, tmp_path).host == "abc"


@pytest.mark.parametrize("text", ["", "uninitialized\n", "a\nb\n"])
def test_else_the_name_of_the_machine(tmp_path: Path, chance: Random, text: str) -> None:
    put(tmp_path, MACHINE_ID[0], text)
    assert identify("", chance, tmp_path).host == socket.gethostname()


def test_the_boot_is_told_where_it_is_known(tmp_path: Path, chance: Random) -> None:
    assert identify("h", chance, tmp_path).boot_id == ""
    put(tmp_path, BOOT_ID, "d00d\n")
    assert identify("h", chance, tmp_path).boot_id == "d00d"


def test_each_start_is_an_instance_of_its_own(tmp_path: Path, chance: Random) -> None:
    found = {identify("h", chance, tmp_path).instance for _ in range(20)}
    assert len(found) == 20
    assert all(0 < instance < 2**64 for instance in found)
