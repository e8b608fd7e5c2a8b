import json
from pathlib import Path

import pytest

from tessera.adapters.background import Unreachable
from tessera.adapters.jobs import Held
from tessera.adapters.registry import UnknownName
from tessera.adapters.schedulers import open_jobs
from tessera.adapters.slurm.squeue import Squeue

from .answers import NEW_JOBS


def script(folder: Path, text: str) -> str:
    path = folder / "squeue"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_the_jobs_of_this_node_hold_its_devices(tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_text(json.dumps(NEW_JOBS), encoding="utf-8")
    command = script(tmp_path, f'echo "$@" > {tmp_path}/asked; cat {tmp_path}/jobs.json')
    assert Squeue("acc-08", command)() == (Held("slurm-4401", "5"),)
    asked = (tmp_path / "asked").read_text().split()
    assert asked == ["--json", "--nodelist=acc-08", "--states=RUNNING,SUSPENDED"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("exit 1", "ended with 1"),
        ("echo no json", "no JSON"),
        ("echo '[[[['", "no JSON"),
        ("echo '{}'", "no list of jobs"),
        ("head -c 40000000 /dev/zero", "too much"),
        ("sleep 1000 & sleep 1000", "too long"),
    ],
)
def test_an_answer_that_is_none_is_told_in_one_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(Unreachable, match=what) as told:
        Squeue("acc-08", script(tmp_path, text), patience=30 if "sleep" not in text else 0.2)()
    assert "\n" not in str(told.value)


def test_a_host_without_slurm_is_told_in_one_line() -> None:
    with pytest.raises(Unreachable, match="cannot be started"):
        Squeue("acc-08", "/nowhere/squeue")()


@pytest.mark.parametrize("name", ["kubernetes", "slurm", "slurm-nodes"])
def test_a_scheduler_is_opened_by_its_name(name: str) -> None:
    assert open_jobs(name, "acc-08").name == name


def test_an_unknown_scheduler_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownName, match=r"kubernetes, slurm, slurm-nodes"):
        open_jobs("lsf", "acc-08")
