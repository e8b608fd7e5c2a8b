import json
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tessera.adapters.recording_read import read_recording, read_truth
from tessera.adapters.synthetic.fleet import SyntheticFleet
from tessera.lab.__main__ import main


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, words)])


@pytest.mark.parametrize(
    ("preset", "shards", "metrics"),
    [
        ("null", 64, {"power_watts"}),
        ("straggler", 16, {"forward_compute_seconds", "backward_compute_seconds"}),
        ("mixed", 64, {"power_watts", "temperature_celsius", "step_time_seconds"}),
    ],
)
def test_every_preset_makes_a_recording_that_reads(
    tmp_path: Path, preset: str, shards: int, metrics: set[str]
) -> None:
    result = run(tmp_path / "r", "--preset", preset, "--ticks", "30")
    assert result.exit_code == 0, result.output
    found = read_recording(tmp_path / "r")
    assert found.values.shape == (30, shards, len(metrics))
    assert set(found.metrics) == metrics
    assert found.times.tolist() == list(range(30))


def test_the_same_options_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert run(tmp_path / name, "--ticks", "20", "--seed", seed).exit_code == 0
    first, same, other = (
        (tmp_path / name / "readings.csv.gz").read_bytes() for name in ("a", "b", "c")
    )
    assert first == same != other


def test_a_planted_fault_is_in_the_readings_and_in_the_truth(tmp_path: Path) -> None:
    words = ("--preset", "null", "--ticks", "40", "--shards", "16", "--no-gzip")
    run(tmp_path / "well", *words)
    result = run(tmp_path / "ill", *words, "--fault", "host-01:power_watts:+4sd@25")
    assert result.exit_code == 0, result.output
    well, ill = (read_recording(tmp_path / name).values for name in ("well", "ill"))
    assert (ill - well)[25:, 8:] == pytest.approx(np.full((15, 8, 1), 32.0))
    assert (ill == well)[:25].all()
    truth = read_truth(tmp_path / "ill")
    assert (truth.open, truth.onset) == (("host-01",), {"host-01": 25.0})


def test_the_straggler_names_itself_in_the_truth(tmp_path: Path) -> None:
    run(tmp_path / "r", "--preset", "straggler", "--ticks", "5")
    assert read_truth(tmp_path / "r").open == ("dp00-pp0",)
    listed = json.loads((tmp_path / "r" / "truth.json").read_text())["faults"]
    assert [(fault["shape"], fault["size"]) for fault in listed] == [("step", 0.3)]


def test_a_healthy_recording_has_an_empty_truth(tmp_path: Path) -> None:
    run(tmp_path / "r", "--preset", "null", "--ticks", "5")
    assert read_truth(tmp_path / "r").open == ()


def test_lost_readings_are_absent(tmp_path: Path) -> None:
    run(tmp_path / "r", "--preset", "null", "--ticks", "100", "--missing", "0.25")
    assert np.isnan(read_recording(tmp_path / "r").values).mean() == pytest.approx(0.25, abs=0.02)


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    run(tmp_path / "r", "--ticks", "5")
    before = (tmp_path / "r" / "readings.csv.gz").read_bytes()
    result = run(tmp_path / "r", "--ticks", "6")
    assert result.exit_code == 2
    assert "nothing is overwritten" in result.output
    assert (tmp_path / "r" / "readings.csv.gz").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--fault", "nonsense"), "fault 'nonsense': is not understood"),
        (("--fault", "host-99:power_watts:+4sd@1"), "there is no such node"),
        (("--fault", "host-00:colour:+4sd@1"), "there is no metric 'colour'"),
        (("--fault", "host-00:power_watts:+4sd@50"), "begins at 50, but there are 50 ticks"),
        (("--fault", "host-00:power_watts:-100%@5"), "write more than -100%"),
        (("--fault", f"host-00:power_watts:+4sd@{'1' * 5000}"), "thousands of digits"),
        (("--fault", f"host-00:power_watts:+{'1' * 400}sd@5"), "its size is too large"),
        (("--missing", "1"), "--missing 1: not a share in [0, 1)"),
        (("--missing", "nan"), "--missing nan: not a share in [0, 1)"),
        (("--tails", "2"), "--tails 2: not a finite number above 2"),
        (("--tails", "inf"), "--tails inf: not a finite number above 2"),
    ],
)
def test_bad_input_is_one_line_exit_code_two_and_no_folder(
    tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    result = run(tmp_path / "r", "--ticks", "50", *words)
    assert result.exit_code == 2
    assert result.output.startswith("tessera simulate: ")
    assert what in result.output
    assert result.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_ended_in_the_middle_it_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = signal.getsignal(signal.SIGTERM)

    def ended(*_: object) -> None:
        assert len(list(tmp_path.iterdir())) == 1  # half written
        assert signal.getsignal(signal.SIGTERM) != usual  # else the tests would end here
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(SyntheticFleet, "ticks", ended)
    assert run(tmp_path / "r", "--ticks", "50").exit_code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == usual
