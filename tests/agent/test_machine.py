import os
from pathlib import Path

from tessera.adapters.base import Busy, Identified
from tessera.agent.machine import EACH, Machine, elements


def write(root: Path, name: str, text: str = "x\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_machine_is_told_by_boot_kernel_modules_and_packages(tmp_path: Path) -> None:
    write(tmp_path, "proc/sys/kernel/random/boot_id", "b-1\n")
    write(tmp_path, "proc/sys/kernel/osrelease", "6.1.0\n")
    write(tmp_path, "sys/module/nvidia/version", "550.54\n")
    write(tmp_path, "run/reboot-required", "")
    status = write(tmp_path, "var/lib/dpkg/status")
    os.utime(status, (1e9, 1e9))
    assert elements(tmp_path) == {
        "boot": "b-1",
        "kernel": "6.1.0",
        "nvidia_module": "550.54",
        "packages": "2001-09-09T01:46:40+00:00",
        "reboot_required": "yes",
    }


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel/osrelease").mkdir(parents=True)
    write(tmp_path, "sys/module/nvidia/version", "a\x00b")
    assert elements(tmp_path) == {"reboot_required": "no"}


def test_it_is_looked_at_each_half_minute_and_also_when_time_went_back(tmp_path: Path) -> None:
    kernel = write(tmp_path, "proc/sys/kernel/osrelease", "6.1")
    machine = Machine(tmp_path)
    assert isinstance(machine, Identified)
    assert isinstance(machine, Busy)
    assert machine.identity() == {}
    assert machine.read(100.0) == []
    kernel.write_text("6.2", encoding="utf-8")
    machine.read(100.0 + EACH - 1)
    assert machine.identity()["kernel"] == "6.1"
    machine.read(100.0 + EACH)
    assert machine.identity()["kernel"] == "6.2"
    kernel.write_text("6.3", encoding="utf-8")
    machine.read(50.0)
    assert machine.identity()["kernel"] == "6.3"
