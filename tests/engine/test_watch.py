from dataclasses import replace
from math import nan

import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.change import ChangeChannel
from tessera.engine.level import LevelChannel
from tessera.engine.watch import Hold, Lead, Watch, Watching, hold_at, of_change, of_level

from .test_change import LATE, fleet, learned, play

LEVEL = Lead("level", 1, rung=5, opened=240)
HOLD = Hold(verdict=7, rung=30, since=40, opened=50, channel="level", column=1)


def level(margin: float = 0.05) -> LevelChannel:
    return LevelChannel(np.full(3, margin), 500)


def watch(side: int = 1) -> Watch:
    made = of_level(HOLD, 4, side, level(), 0)
    assert made is not None
    return made


def offered(made: Watch, values: Floats, first: int = 51) -> Watch:
    for block, value in enumerate(values.tolist(), first):
        made.step(block, value)
    return made


def test_null_an_effect_that_stays_is_watched_for_ever() -> None:
    noise = np.random.default_rng(1).normal(0.08, 0.02, 400)
    assert offered(watch(), noise).told(2).turns == 0


def test_power_one_that_ends_turns_and_its_band_is_of_the_time_before() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0.08, 0.01, 200), rng.normal(0.0, 0.01, 60)])
    told = offered(watch(), values).told(2)
    assert (told.row, told.verdict, told.turns) == (2, 7, 1)
    assert 0.07 < told.low <= told.middle <= told.high < 0.09
    assert 0 < told.lasted < 60


def test_blocks_up_to_the_opening_have_selected_and_tell_nothing() -> None:
    told = offered(watch(), np.full(50, 0.08), first=1).told(0)
    assert np.isnan(told.middle)
    assert (told.lasted, told.log_m) == (0, 0.0)


def test_where_down_is_bad_the_effect_is_below_zero_and_ends_above_half_of_the_margin() -> None:
    made = offered(watch(side=-1), np.full(40, -0.08))
    assert made.told(0).middle == -0.08
    assert offered(made, np.zeros(60), first=100).told(0).turns == 1


def test_a_level_stream_without_a_margin_is_not_watched() -> None:
    assert of_level(HOLD, 0, 1, level(nan), 0) is None


def changed() -> ChangeChannel:
    x = fleet(206, 1030, phi=0.6)
    x[1000:, 0] -= 8.0
    made = learned(x, blocks=LATE)
    play(made, x[LATE:], first=LATE)
    made.hold(np.array([0]), np.array([1000]))
    return made


def test_a_change_is_over_below_half_of_the_effect_at_its_opening_and_back_above_it() -> None:
    made = of_change(replace(HOLD, since=1000, channel="change"), 0, changed(), 0)
    assert made is not None
    assert made.side == -1.0
    assert made.recovery.ended == made.recovery.back == pytest.approx(4.0, abs=0.8)


def test_of_blocks_with_memory_only_those_three_correlation_times_apart_count() -> None:
    channel = changed()
    made = of_change(replace(HOLD, since=1000, channel="change"), 0, channel, 0)
    assert made is not None
    assert channel.phi[0] ** made.spacing <= np.exp(-3.0) < channel.phi[0] ** (made.spacing - 1)
    offered(made, np.full(10 * made.spacing, -8.0), first=made.spacing * 1000)
    assert made.told(0).lasted == 10 * made.spacing


def test_of_blocks_without_a_phi_every_second_counts() -> None:
    channel = changed()
    channel.phi[:] = 0.0
    made = of_change(replace(HOLD, since=1000, channel="change"), 0, channel, 0)
    assert made is not None
    assert made.spacing == 2


def test_a_stream_that_has_not_learned_has_no_line_to_be_watched_by() -> None:
    keys = np.arange(3, dtype=np.uint64)
    bare = ChangeChannel(keys, np.zeros(3, dtype=np.int64), 100)
    assert of_change(replace(HOLD, channel="change"), 0, bare, 0) is None


def test_what_leads_is_watched_at_its_own_rung_only() -> None:
    assert hold_at(5, 7, 1203.0, LEVEL) == Hold(7, 5, 240, 240, "level", 1)
    assert hold_at(30, 7, 1203.0, LEVEL) == Hold(7, 30, 40, 40)


def test_a_hold_whose_onset_is_not_known_goes_back_as_far_as_is_kept() -> None:
    assert hold_at(30, 7, nan, LEVEL).since == 0


def test_a_hold_is_taken_once_and_let_go_when_its_verdict_is_not_named() -> None:
    held = Watching()
    assert held.take({2: HOLD}) == {2: HOLD}
    assert held.take({2: HOLD}) == {}
    assert held.let_go({2: HOLD}).tolist() == []
    assert held.let_go({2: replace(HOLD, verdict=8)}).tolist() == [2]
    assert held.holds == {}


def test_held_rows_move_with_their_streams_and_those_that_leave_are_forgotten() -> None:
    held, after = Watching(), Watching()
    held.take({0: HOLD, 2: HOLD})
    held.watches[2] = watch()
    held.watches[2].at = 5  # row 2, column 1 of (3, 2)
    place = np.array([-1, -1, 0, 1, 4, 3])  # row 0 is gone, row 2 is row 1 of two columns
    after.inherit(held, (3, 2), np.where(place == 4, 2, place), 2)
    assert set(after.holds) == {1}
    assert after.watches[1].at == 3
    assert [told.row for told in after.watched()] == [1]
