from pathlib import Path

import pytest

from tessera.adapters.synthetic.faults import Fault, parse_fault
from tessera.adapters.synthetic.fleet import SyntheticFleet, mixed_fleet

from .playing import Told, play, synthetic

SLOWER = "host-02-gpu-5"
FAULT = parse_fault(f"{SLOWER}:step_time_seconds:+8%@1000")


def told(folder: Path, seed: int, ticks: int, *faults: Fault) -> Told:
    return play(synthetic(folder, SyntheticFleet(mixed_fleet(), seed, faults), ticks))


@pytest.mark.xfail(reason="the gate closes after a shared step has opened six shards (tick 455)")
def test_two_healthy_jobs_that_start_and_stop_open_nothing(tmp_path: Path) -> None:
    assert told(tmp_path / "r", 1, 600).verdicts == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_two_healthy_jobs_open_nothing_for_half_an_hour(tmp_path: Path, seed: int) -> None:
    assert told(tmp_path / "r", seed, 2000).verdicts == []


@pytest.mark.slow
def test_a_shard_that_becomes_eight_percent_slower_is_named_soon(tmp_path: Path) -> None:
    found = told(tmp_path / "r", 1, 2000, FAULT)
    opened = [v["tick"] for v in found.verdicts if v["node"] == SLOWER]
    assert 1000 <= float(str(opened[0])) <= 1060
    assert isinstance(found.open, list)
    assert SLOWER in found.open


@pytest.mark.slow
@pytest.mark.xfail(reason="a shared step of power opens others beside it")
def test_beside_a_slower_shard_no_other_opens(tmp_path: Path) -> None:
    assert told(tmp_path / "r", 1, 2000, FAULT).open == [SLOWER]
