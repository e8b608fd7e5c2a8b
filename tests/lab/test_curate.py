import json
from pathlib import Path

import numpy as np
import pytest

from tessera.lab.curate import OURS
from tessera.lab.curated import LEARNED

from .bundles import artefact, bundle, run, series
from .playing import noise, rows, small

KEYS = {
    "D11": {
        *("n_runs_total", "n_runs_screened", "n_runs_skipped_insufficient_samples"),
        *("n_runs_skipped_mcd_failed", "n_runs_no_baseline", "n_ticks_total"),
        *("n_ticks_contaminated", "contamination_rate", "mcd_method", "mcd_alpha"),
    },
    "D12": {
        *("alpha_fleet", "p_base_prior", "shrinkage_kappa", "training_window_count"),
        *("lambda_max", "n_shards_screened", "n_windows_aligned", "n_windows_test", "p_base"),
        *("fired", "fire_window", "log_threshold", "log_S_final", "log_S_max"),
    },
    "D13": {
        *("fleet_event_detected", "n_fleet_event_windows", "fleet_event_window_indices"),
        *("fcp1_audit_token", "residual_seed_hash_sentinel", "wire_format_version"),
    },
}


def test_a_clean_corpus_is_ready(tmp_path: Path) -> None:
    done = run(bundle(tmp_path / "b.json", series()), tmp_path / "out")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "Baseline ready" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == OURS - {LEARNED}


def test_from_five_percent_on_there_is_a_warning(tmp_path: Path) -> None:
    path = bundle(tmp_path / "b.json", series(hit=9.0, share=0.07))
    done = run(path, tmp_path / "out")
    assert done.exit_code == 0
    assert "Baseline ready" in done.stdout
    assert "% of the ticks are withheld" in done.stderr


def test_from_fifteen_percent_on_the_corpus_is_heterogeneous_unless_allowed(tmp_path: Path) -> None:
    runs = series(runs=8)
    for signal in runs[0] + runs[1]:
        signal[100:150] = [20.0] * 50
    path = bundle(tmp_path / "b.json", runs)
    refused = run(path, tmp_path / "out")
    assert refused.exit_code == 1
    assert "Heterogeneous corpus" in refused.stdout
    assert run(path, tmp_path / "out", "--allow-high-drop").exit_code == 0


def test_a_failed_validation_is_never_overridden(tmp_path: Path) -> None:
    path = bundle(tmp_path / "b.json", [[[1.0, 2.0], [1.0, 2.0]]])
    done = run(path, tmp_path / "out", "--allow-high-drop")
    assert done.exit_code == 1
    assert "Review needed" in done.stdout
    assert "no tick is left that could be judged" in done.stderr


def test_ticks_are_marked_and_none_is_deleted(tmp_path: Path) -> None:
    runs = series()
    runs[2][0][50] = 30.0
    run(bundle(tmp_path / "b.json", runs), tmp_path / "out")
    found = artefact(tmp_path / "out")
    listed = found["runs"]
    assert isinstance(listed, list)
    assert listed[2]["signal_series"]["a"] == runs[2][0]
    assert 50 in listed[2]["curation"]["marked_ticks"]
    assert found["cell_dim"] == "hour_of_day"


def test_every_window_of_every_incident_is_told(tmp_path: Path) -> None:
    runs = series(hit=6.0, share=0.04)
    for a, b in runs:
        a[200:208] = b[200:208] = [7.0] * 8
    run(bundle(tmp_path / "b.json", runs), tmp_path / "out")
    curation = artefact(tmp_path / "out")["curation"]
    assert isinstance(curation, dict)
    assert {*range(100, 112), *range(200, 208)} <= set(curation["fleet_event_windows"])


def test_the_three_decisions_have_all_their_keys(tmp_path: Path) -> None:
    run(bundle(tmp_path / "b.json", series()), tmp_path / "out")
    lines = (tmp_path / "out" / "curation-decisions.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert {r["decision_id"]: set(r["output_summary"]) for r in found} == KEYS
    for record in found:
        assert set(record) == {
            *("decision_id", "decision_name", "inputs", "output_summary", "decision_rule"),
            *("verification", "source_memorialization"),
        }
        assert record["inputs"]["compile_state_ref"] == "1|7"
        assert all(isinstance(v, (str, int, float)) for v in record["output_summary"].values())
    assert [r["inputs"].get("upstream_decisions") for r in found] == [None, ["D11"], ["D11", "D12"]]


def test_another_curation_has_another_token(tmp_path: Path) -> None:
    tokens = []
    for hit in (0.0, 6.0):
        out = tmp_path / f"out{hit:g}"
        run(bundle(tmp_path / "b.json", series(hit=hit)), out)
        curation = artefact(out)["curation"]
        assert isinstance(curation, dict)
        tokens.append(curation["residual_seed_hash"])
    assert tokens[0] == "tessera-fcp1-v1::1|7::fcp1:fired=false:windows=[]"
    assert tokens[1].startswith("tessera-fcp1-v1::1|7::fcp1:fired=true:windows=[")


def test_a_second_run_writes_the_same_bytes_over_the_first(tmp_path: Path) -> None:
    path, out = bundle(tmp_path / "b.json", series(hit=6.0)), tmp_path / "out"
    written = []
    for _ in range(2):
        assert run(path, out).exit_code == 0
        written.append({p.name: p.read_bytes() for p in sorted(out.iterdir())})
    assert written[0] == written[1]


def test_a_folder_with_files_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    done = run(bundle(tmp_path / "b.json", series()), tmp_path / "out")
    assert done.exit_code == 2
    assert "'thesis.tex', which is not ours; name another one with --out" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": []}, "runs is not a list of runs; write one run or more"),
        ({"runs": [3]}, "runs[0] is not an object"),
        ({"runs": [{}]}, "runs[0] has no signal_series"),
        ({"runs": [{"signal_series": {"a": 1}}]}, "runs[0].signal_series.a is not a list"),
        (
            {"runs": [{"signal_series": {"a": [1, "x"]}}]},
            "runs[0].signal_series.a[1] is not a number; write a number below 1e150",
        ),
        ({"version": None}, "version is not a word"),
    ],
)
def test_a_bad_bundle_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    done = run(bundle(tmp_path / "b.json", series(), **change), tmp_path / "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("tessera curate-baseline: b.json: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"version": 1}', "\x00"])
def test_what_is_no_bundle_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    done = run(tmp_path / "b.json", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "absent.json", tmp_path / "out")
    assert done.exit_code == 2
    assert "absent.json: is missing; name a recording's folder" in done.stderr


def test_a_file_of_a_recording_is_answered_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "readings.csv.gz").write_bytes(b"\x1f\x8b")
    done = run(tmp_path / "readings.csv.gz", tmp_path / "out")
    assert done.exit_code == 2
    assert "name its folder" in done.stderr


def test_a_null_is_no_value_and_its_tick_is_not_judged(tmp_path: Path) -> None:
    runs: list[list[list[float | None]]] = [[list(s) for s in r] for r in series()]
    runs[0][0][10] = None
    done = run(bundle(tmp_path / "b.json", runs), tmp_path / "out")  # type: ignore[arg-type]  # a gap is under test
    assert done.exit_code == 0


def test_a_recording_is_curated_against_its_peers(tmp_path: Path) -> None:
    values = noise(400, 8) * np.where(np.arange(400) % 100 < 50, 1.0, 3.0)[:, None]
    values[60:80, 2] *= 1.3
    folder = small(tmp_path / "r", rows(values), 8)
    assert run(folder, tmp_path / "out").exit_code == 0
    listed = artefact(tmp_path / "out")["runs"]
    assert isinstance(listed, list)
    marked = {run["shard"]: run["curation"]["marked_ticks"] for run in listed}
    assert len(marked["g2"]) > 2
    assert all(len(ticks) <= 2 for shard, ticks in marked.items() if shard != "g2")


def test_of_a_recording_too_short_to_learn_from_no_baseline_is_written(tmp_path: Path) -> None:
    done = run(small(tmp_path / "r", rows(noise(60))), tmp_path / "out")
    assert done.exit_code == 0
    assert "too short for any stream to learn from it" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == OURS - {LEARNED}
