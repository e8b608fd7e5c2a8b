import json
from pathlib import Path

import numpy as np
import pytest

from tessera.adapters.recording_read import read_recording
from tessera.adapters.synthetic.fleet import SyntheticFleet, null_fleet
from tessera.lab.replay import Player
from tessera.lab.ticks import ticks_of

from .playing import (
    SLOWED,
    noise,
    pipeline_job,
    play,
    rows,
    run,
    slower,
    small,
    synthetic,
    told_by_a_process,
)

Kinds = type | tuple[type, ...]

VERDICT: dict[str, Kinds] = {
    "type": str,
    "transition": str,
    "node": str,
    "level": str,
    "channel": str,
    "family": str,
    "guarantee": str,
    "validity_class": str,
    "log_e": (int, float),
    "tick": (int, float),
    "since_tick": (int, float, type(None)),
    "metrics": list,
    "reason": str,
    "correlational_not_causal": bool,
}
SUMMARY: dict[str, Kinds] = {
    "type": str,
    "open": list,
    "abstained": list,
    "shards": int,
    "ticks": int,
    "seconds": (int, float),
}
WORDS = {
    "transition": {"opened", "promoted", "recovering", "closed"},
    "channel": {"change", "level", "fact", "temporal"},
    "family": {"A mean", "spread", "C joint", "D oscillation", "E spike"},
    "guarantee": {"controlled", "ranked"},
    "validity_class": {"theorem", "construction", "empirical", "none"},
}


# A job of the real one's shape (test_replay_real.py plays that itself)


def test_a_recording_is_told_in_the_same_bytes_by_every_process(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)], ticks=120)
    first = told_by_a_process(folder, "1")
    assert first == told_by_a_process(folder, "2")
    assert json.loads(first.splitlines()[-1])["open"] == [SLOWED]


def test_a_slow_worker_is_named_and_its_stage_is_not(tmp_path: Path) -> None:
    told = play(pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)]))
    assert told.opened_at(SLOWED) <= 60
    assert told.open == [SLOWED]


def test_a_worker_that_becomes_eight_percent_slower_is_named_within_60_micro_batches(
    tmp_path: Path,
) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.08, onset=700)], ticks=800)
    told = play(folder)
    assert 700 <= told.opened_at(SLOWED) <= 760
    assert told.open == [SLOWED]


def test_a_worker_that_becomes_three_percent_slower_is_left_alone(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.03, onset=300)], ticks=700)
    assert play(folder).verdicts == []


def test_equal_workers_open_nothing(tmp_path: Path) -> None:
    assert play(pipeline_job(tmp_path / "r", ticks=500, seed=7)).verdicts == []


def test_a_slow_stage_is_named_as_a_stage(tmp_path: Path) -> None:
    told = play(pipeline_job(tmp_path / "r", [slower("pp2", 0.5)]))
    assert told.open == ["pp2"]
    assert {v["level"] for v in told.verdicts} == {"stage"}


def test_a_slow_stage_of_two_workers_is_named_although_they_have_too_few_peers(
    tmp_path: Path,
) -> None:
    told = play(pipeline_job(tmp_path / "r", [slower("pp3", 0.5)], workers=8))
    assert told.open == ["pp3"]
    assert any("fewer than three peers" in str(reason) for reason in told.reasons("level"))


# What is told


def test_every_line_has_the_promised_keys_and_types(tmp_path: Path) -> None:
    told = play(pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)]))
    assert [line["type"] for line in told.lines] == ["verdict"] * len(told.verdicts) + ["summary"]
    assert told.verdicts
    for line, shape in [*((v, VERDICT) for v in told.verdicts), (told.summary, SUMMARY)]:
        assert list(line) == list(shape)
        assert all(isinstance(line[key], kind) for key, kind in shape.items())


def test_every_word_is_one_of_the_promised(tmp_path: Path) -> None:
    told = play(pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3), slower("pp2", 0.4)]))
    for verdict in told.verdicts:
        assert all(verdict[key] in words for key, words in WORDS.items())
        assert verdict["level"] in {"shard", "stage"}
        assert verdict["correlational_not_causal"] is True
        assert isinstance(verdict["metrics"], list)
        assert {"forward_compute_seconds", "backward_compute_seconds"}.issuperset(
            verdict["metrics"]
        )


def test_an_abstention_says_who_on_which_channel_and_why(tmp_path: Path) -> None:
    abstained = play(pipeline_job(tmp_path / "r", ticks=20)).summary["abstained"]
    assert isinstance(abstained, list)
    assert all(list(a) == ["scope", "channel", "reason"] for a in abstained)
    assert {a["channel"] for a in abstained} == {"change", "level", "temporal"}
    assert len({tuple(a.values()) for a in abstained}) == len(abstained)


def test_a_person_reads_the_same_names_in_plain_lines(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)])
    result = run(folder)
    assert result.exit_code == 0
    assert f"opened shard {SLOWED}" in result.stdout
    assert result.stdout.splitlines()[-1] == f"open    {SLOWED}"


# Options


def test_score_compares_with_the_truth_before_the_summary(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3, onset=10)])
    truth = {"open": [SLOWED, "dp03-pp3"], "onset": {SLOWED: 10}}
    (folder / "truth.json").write_text(json.dumps(truth))
    told = play(folder, "--score")
    at = told.opened_at(SLOWED)
    expected = {"found": {SLOWED: at - 10}, "missed": ["dp03-pp3"], "false": []}
    assert told.lines[-2] == {"type": "score", **expected}
    assert f"found   {SLOWED} after {at - 10:g} s" in run(folder, "--score").stdout


def test_the_truth_changes_nothing_but_the_score(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)], ticks=120)
    before = play(folder).lines
    (folder / "truth.json").write_text('{"open": ["dp03-pp3"]}')
    scored = play(folder, "--score").lines
    assert [line for line in scored if line["type"] != "score"] == before


def test_a_wider_margin_forgives_more(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.1)], ticks=150)
    assert play(folder).open == [SLOWED]
    assert play(folder, "--margin", "0.2").open == []


def test_longer_blocks_name_the_same_worker_later(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)], ticks=400)
    assert play(folder, "--block", "5").opened_at(SLOWED) > play(folder).opened_at(SLOWED)


def test_a_bolder_level_of_selection_needs_less_evidence(tmp_path: Path) -> None:
    folder = pipeline_job(tmp_path / "r", [slower(SLOWED, 0.3)])
    bold, timid = (play(folder, "--q", q).opened_at(SLOWED) for q in ("0.5", "0.001"))
    assert bold < timid


# Recordings of other shapes


def jittered(values: np.ndarray, every: float) -> str:
    rng = np.random.default_rng(3)
    times = np.arange(len(values)) * every + every / 2 + rng.uniform(-0.3, 0.3, len(values)) * every
    lines = [
        f"{t:.3f},g{shard},step_time_seconds,{value!r}"
        for t, of_tick in zip(times.tolist(), values.tolist(), strict=True)
        for shard, value in enumerate(of_tick)
    ]
    return "\n".join(["t,shard,metric,value", *lines, ""])


@pytest.mark.parametrize("every", [5.0, 15.0])
def test_seldom_readings_play_on_a_clock_of_their_own(tmp_path: Path, every: float) -> None:
    values = noise(250)
    values[:, 2] *= 1.3
    told = play(small(tmp_path / "r", rows(values, every=every)))
    assert told.open == ["g2"]
    assert (told.summary["ticks"], told.summary["seconds"]) == (250, 250 * every)


@pytest.mark.parametrize("every", [1.0, 5.0])
def test_clocks_that_jitter_play_like_regular_ones(tmp_path: Path, every: float) -> None:
    values = noise(250)
    values[:, 2] *= 1.3
    told = play(small(tmp_path / "r", jittered(values, every)))
    assert told.open == ["g2"]
    assert told.summary["ticks"] == pytest.approx(250, abs=15)


def test_unix_times_are_told_as_they_were_recorded(tmp_path: Path) -> None:
    values = noise(120)
    values[:, 2] *= 1.3
    start = 1_700_000_000
    text = rows(values)
    header, *lines = text.splitlines()
    moved = [f"{start + int(line.split(',')[0])},{line.split(',', 1)[1]}" for line in lines]
    told = play(small(tmp_path / "r", "\n".join([header, *moved, ""])))
    assert start <= told.opened_at("g2") < start + 120


def test_a_recording_of_one_shard_says_that_it_has_no_peers(tmp_path: Path) -> None:
    told = play(small(tmp_path / "r", rows(noise(50, 1)), shards=1))
    reason = "fewer than three peers: 1 in the group, itself included"
    assert told.verdicts == []
    assert (told.reasons("change"), told.reasons("level")) == ({reason}, {reason})


def test_a_recording_of_one_tick_plays_and_says_that_it_still_learns(tmp_path: Path) -> None:
    told = play(small(tmp_path / "r", rows(noise(1))))
    assert (told.open, told.summary["ticks"], told.summary["seconds"]) == ([], 1, 1)
    assert any("learning (1 of 200 blocks)" in str(reason) for reason in told.reasons("change"))


@pytest.mark.parametrize("value", ["", "error:GPU_LOST"])
def test_a_metric_without_a_single_value_opens_nothing_and_says_so(
    tmp_path: Path, value: str
) -> None:
    lines = [f"{t},g{i},step_time_seconds,{value}" for t in range(30) for i in range(4)]
    told = play(small(tmp_path / "r", "\n".join(["t,shard,metric,value", *lines, ""])))
    assert told.open == []
    assert any("learning (0 of 200 blocks)" in str(reason) for reason in told.reasons("change"))


def test_a_silent_metric_does_not_hide_what_another_shows(tmp_path: Path) -> None:
    values = noise(120)
    values[:, 2] *= 1.3
    silent = rows(np.full((120, 4), np.nan), "power_watts").split("\n", 1)[1]
    assert play(small(tmp_path / "r", rows(values) + silent)).open == ["g2"]


def test_a_shard_that_never_reports_leaves_its_peers_to_each_other(tmp_path: Path) -> None:
    values = noise(120, 5)
    values[:, 2] *= 1.3
    values[:, 4] = np.nan
    assert play(small(tmp_path / "r", rows(values), shards=5)).open == ["g2"]


WORK = {
    "work_total": {
        "transform": "log",
        "direction": "down",
        "margin": 0.05,
        "tau": 0,
        "fast": 1,
        "slow": 5,
        "level": 1,
    }
}


def test_counters_are_judged_by_their_rates(tmp_path: Path) -> None:
    rate = 1000 * noise(150)
    rate[:, 2] *= 0.7  # works less, although its total is the largest
    total = np.cumsum(rate, axis=0) + np.array([0, 0, 1e7, 0])
    told = play(small(tmp_path / "r", rows(total, "work_total"), metrics=WORK))
    assert told.open == ["g2"]
    assert told.verdicts[0]["channel"] == "level"


def test_a_counter_that_starts_anew_is_no_fault(tmp_path: Path) -> None:
    total = np.cumsum(1000 * noise(150), axis=0)
    total[60:, 2] -= total[60, 2]
    told = play(small(tmp_path / "r", rows(total, "work_total"), metrics=WORK))
    assert told.verdicts == []


@pytest.mark.parametrize("value", [0.0, -1.0, 1e39, 1e308])
def test_impossible_values_are_no_values(tmp_path: Path, value: float) -> None:
    values = noise(120, 8)
    values[:, 2] *= 1.3
    values[10:20, 1] = value
    assert play(small(tmp_path / "r", rows(values), shards=8)).open == ["g2"]


def test_huge_values_of_both_signs_play_without_a_warning(tmp_path: Path) -> None:
    values = np.where(np.indices((40, 4)).sum(axis=0) % 2, 1e308, -1e308)
    assert play(small(tmp_path / "r", rows(values, "memory_used_bytes"))).verdicts == []


def beside(steps: np.ndarray, seldom: np.ndarray, metric: str, every: int) -> str:
    """Return readings.csv of step times each second and another metric each ``every`` s."""
    header, *lines = rows(steps).splitlines()
    lines += rows(seldom, metric, every=float(every)).splitlines()[1:]
    return "\n".join([header, *sorted(lines, key=lambda line: float(line.split(",")[0])), ""])


POWER = {"power_watts": {"direction": "down", "margin": 25}}
ENERGY = {"energy_joules_total": {"direction": "down", "margin": 25}}


def test_a_metric_that_is_read_each_15_s_beside_a_quick_one_is_judged(tmp_path: Path) -> None:
    power = 400.0 * noise(60, 8, seed=2)
    power[:, 3] -= 100.0
    text = beside(noise(900, 8), power, "power_watts", 15)
    told = play(small(tmp_path / "r", text, shards=8, metrics=POWER))
    assert told.open == ["g3"]
    assert told.verdicts[0]["metrics"] == ["power_watts"]


def test_a_healthy_metric_that_is_read_each_15_s_opens_nothing(tmp_path: Path) -> None:
    text = beside(noise(900, 8), 400.0 * noise(60, 8, seed=2), "power_watts", 15)
    assert play(small(tmp_path / "r", text, shards=8, metrics=POWER)).verdicts == []


def test_a_counter_that_is_read_each_15_s_beside_a_quick_metric_has_a_rate(tmp_path: Path) -> None:
    power = 400.0 * noise(60, 8, seed=2)
    power[:, 3] -= 100.0
    text = beside(noise(900, 8), np.cumsum(15 * power, axis=0), "energy_joules_total", 15)
    told = play(small(tmp_path / "r", text, shards=8, metrics=ENERGY))
    assert told.open == ["g3"]


def test_what_is_read_but_not_played_is_counted_on_standard_error(tmp_path: Path) -> None:
    facts = "t,node,code,state\n1,g0,xid-79,raised\n2,g0,xid-79,cleared\n"
    event = {"event_id": "e", "event_class": "deploy", "event_ts": 3}
    folder = small(tmp_path / "r", rows(noise(12)), facts=facts, events=[event])
    result = run(folder, "--json")
    assert result.stderr == (
        f"tessera replay: {folder}: read but not played yet: facts.csv (2), events.json (1)\n"
    )
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()] == ["summary"]


def test_a_metric_that_is_not_judged_is_among_those_that_abstain(tmp_path: Path) -> None:
    states = rows(np.zeros((12, 4)), "pcie_link_width").split("\n", 1)[1]
    abstained = play(small(tmp_path / "r", rows(noise(12)) + states)).summary["abstained"]
    reason = "pcie_link_width is of kind state: not judged yet"
    assert isinstance(abstained, list)
    assert {"scope": "pcie_link_width", "channel": "change", "reason": reason} in abstained


def test_a_thousand_healthy_ticks_of_64_shards_open_nothing(tmp_path: Path) -> None:
    told = play(synthetic(tmp_path / "r", SyntheticFleet(null_fleet(), 12), 1000))
    assert told.verdicts == []
    assert told.summary["shards"] == 64


def rungs_after(folder: Path, block: int | None) -> tuple[int, ...]:
    """Play and return every block length that the plan then has."""
    recording = read_recording(folder)
    player = Player(recording, ticks_of(recording), block=block)
    assert len(list(player.transitions())) == 0
    return player.lockstep.pipeline.planner.rungs()


def test_the_block_that_was_asked_for_is_not_overruled_by_what_the_plan_learns(
    tmp_path: Path,
) -> None:
    slow_noise = noise(3000, 8, spread=0.001)
    for t in range(1, 3000):
        slow_noise[t] *= slow_noise[t - 1] ** 0.97
    folder = small(tmp_path / "r", rows(slow_noise, "flux"), shards=8)
    assert rungs_after(folder, 1) == (1, 5)
    assert rungs_after(folder, None) != (5, 30)  # its noise lasts longer than the catalogue says


def test_a_block_that_is_too_short_for_a_seldom_metric_is_lengthened_for_that_one(
    tmp_path: Path,
) -> None:
    text = beside(noise(60), noise(4), "power_watts", 15)
    assert rungs_after(small(tmp_path / "r", text), 1) == (1, 5, 30, 120)
