import subprocess
import sys
from collections.abc import Iterator, Sequence
from math import inf, log
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tessera.aggregator.decide.verdicts import Transition
from tessera.lab.calibrate import (
    LAYOUTS,
    ONSET,
    SHARDS,
    Count,
    Played,
    Work,
    calibrate,
    count_null,
    count_power,
    measure,
    median_interval,
    play_null,
    play_power,
    seed_of,
    share_interval,
    table,
)

RACKS = pytest.mark.parametrize("hosts_per_rack", LAYOUTS.values(), ids=["K=32", "K=64"])


def opening(node: str, at: float, level: str = "shard") -> Transition:
    return Transition(
        transition="opened",
        node=node,
        level=level,
        channel="change",
        guarantee="ranked",
        validity_class="empirical",
        log_e=7.0,
        at=at,
        since=at,
        metrics=("power_watts",),
        reason="",
    )


def healthy(numbers: range, hosts_per_rack: int) -> list[Played]:
    return [play_null(hosts_per_rack, seed_of("tests", "null", n)) for n in numbers]


def shifted(numbers: range, hosts_per_rack: int) -> list[Played]:
    return [play_power(hosts_per_rack, seed_of("tests", "power", n)) for n in numbers]


def assert_nothing_false(played: list[Played]) -> None:
    assert [p.opened for p in played] == [frozenset()] * len(played)
    peaks = np.concatenate([p.peaks for p in played])
    assert peaks.size == len(played) * SHARDS * 2
    assert (peaks >= log(100)).mean() <= 0.01


def test_healthy_fleets_stay_silent() -> None:
    assert_nothing_false(healthy(range(4), LAYOUTS["two racks of 32, K = 32"]))


@pytest.mark.slow
@RACKS
def test_twenty_healthy_fleets_stay_silent(hosts_per_rack: int) -> None:
    assert_nothing_false(healthy(range(20), hosts_per_rack))


def test_a_shard_shifted_by_four_sd_is_named_and_nobody_else() -> None:
    played = shifted(range(3), LAYOUTS["two racks of 32, K = 32"])
    assert [set(p.opened) for p in played] == [{p.faulty} for p in played]
    assert max(p.delay for p in played) < inf


@pytest.mark.slow
@RACKS
def test_twelve_shifted_shards_do_not_contradict_the_targets(hosts_per_rack: int) -> None:
    named, late = count_power(shifted(range(12), hosts_per_rack))
    assert named.value >= 10 / 12
    assert named.high >= named.target
    assert late.low <= late.target


def test_the_same_seed_plays_the_same_fleet() -> None:
    once, again, other = (play_null(4, seed, ticks=1200) for seed in (5, 5, 6))
    assert once.peaks.max() > 0
    assert np.array_equal(once.peaks, again.peaks)
    assert not np.array_equal(once.peaks, other.peaks)


@pytest.mark.parametrize(
    ("openings", "delay"),
    [
        ([opening("a", ONSET + 40)], 40),
        ([opening("b", ONSET + 40)], inf),
        ([opening("a", ONSET + 40), opening("b", ONSET + 90)], inf),
        ([opening("a", ONSET + 40), opening("rack-00", ONSET + 90, "rack")], inf),
        ([opening("a", ONSET - 1)], inf),
        ([], inf),
    ],
    ids=["named", "another", "one too many", "its rack as well", "too early", "missed"],
)
def test_a_delay_counts_only_if_exactly_the_shard_is_named(
    openings: list[Transition], delay: float
) -> None:
    assert Played("a", np.zeros(2), tuple(openings)).delay == delay


def test_counts_of_the_null_are_shares_of_streams_and_of_fleets() -> None:
    loud = Played(None, np.log([150.0, 30, 1, 1]), (opening("a", 9.0),))
    racked = Played(None, np.zeros(4), (opening("rack-00", 9.0, "rack"),))
    counts = count_null([loud, racked, Played(None, np.zeros(4), ())])
    assert [c.value for c in counts] == pytest.approx([1 / 12, 2 / 12, 1 / 3, 2 / 3])
    assert not any(c.met for c in counts)
    assert all(c.low <= c.value <= c.high for c in counts)


def test_a_missed_shard_counts_as_infinitely_late() -> None:
    found = Played("a", np.zeros(1), (opening("a", ONSET + 40),))
    named, late = count_power([found, *[Played("a", np.zeros(1), ())] * 2])
    assert named.value == pytest.approx(1 / 3)
    assert late.value == inf
    assert not named.met
    assert not late.met


def test_streams_that_rise_together_in_one_fleet_widen_the_interval() -> None:
    together = [Played(None, np.full(8, 9.0 * (n == 0)), ()) for n in range(8)]
    spread = [Played(None, 9.0 * (np.arange(8) == n), ()) for n in range(8)]
    (one, *_), (each, *_) = count_null(together), count_null(spread)
    assert one.value == each.value
    assert one.high > each.high


def test_no_stream_above_is_no_more_certain_than_there_are_fleets() -> None:
    counts = count_null([Played(None, np.zeros(128), ())] * 20)
    assert counts[0].high == pytest.approx(share_interval(0.0, 20)[1])


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_interval_of_a_share_is_wilsons(n: int, share: float) -> None:
    k = round(share * n)
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert share_interval(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(6, 300))
def test_the_interval_of_a_median_covers_95_percent_and_not_a_rank_more(n: int) -> None:
    low, high = median_interval(n)
    assert low + high == n - 1
    assert 2 * binom.cdf(low, n, 0.5) <= 0.05 < 2 * binom.cdf(low + 1, n, 0.5)


def test_seeds_depend_on_every_word() -> None:
    words = [("a", "null", 1), ("a", "null", 2), ("a", "power", 1), ("b", "null", 1)]
    assert len({seed_of(*w) for w in words}) == 4


def test_every_cell_is_counted_at_every_layout_and_told_in_a_table() -> None:
    def play_all(work: Sequence[Work]) -> Iterator[Played]:
        for cell, _, _ in work:
            found = (opening("a", ONSET + 50),) if cell == "power" else ()
            yield Played("a" if cell == "power" else None, np.zeros(2), found)

    rows = table(measure(6, "tests", play_all)).splitlines()[2:]
    assert len(rows) == 2 * (4 + 2)
    assert all(row.endswith("| met |") for row in rows)
    assert "| 6 | median delay in ticks, never named = ∞ | 50 | 50 to 50 | ≤ 70 |" in rows[-1]


def test_a_missed_target_stands_out_in_the_table() -> None:
    count = Count("median delay", inf, 60, inf, 70, share=False)
    assert table([("power", "K", 9, count)]).endswith("| ∞ | 60 to ∞ | ≤ 70 | **missed** |")


@pytest.mark.slow
def test_the_command_prints_what_it_writes(tmp_path: Path) -> None:
    out = tmp_path / "calibration.md"
    command = [sys.executable, "-m", "tessera.lab.calibrate", "--fleets", "1", "--out", str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    assert done.stdout.startswith("| cell |")
    assert done.stdout in out.read_text()
    assert done.stderr == ""


def test_a_folder_that_is_not_there_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "c.md"
    result = CliRunner().invoke(calibrate, ["--out", str(out)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
