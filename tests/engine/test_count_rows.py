"""Counted columns beside others, as a table plays them."""

import numpy as np

from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.counts import ODDS
from tessera.engine.outcome import Outcome, Summary
from tessera.engine.ranks import stream_key
from tessera.engine.streams import Streams

ROWS, COLUMNS, COUNTED, HORIZON, CROSSING = 16, 2, 1, 500, np.log(100.0)


def streams() -> Streams:
    names = [[f"gpu-{i}/{j}" for j in range(COLUMNS)] for i in range(ROWS)]
    keys = np.array([[stream_key(name) for name in row] for row in names], dtype=np.uint64)
    return Streams(keys, np.zeros(COLUMNS, dtype=np.int64), HORIZON)


def epochs(number: int = 0) -> Ints:
    return np.broadcast_to(np.where(np.arange(COLUMNS) == COUNTED, number, -1), (ROWS, COLUMNS))


def adopt(made: Streams, epoch: int = 0) -> Streams:
    made.adopt_counts(np.full(made.shape, ODDS), epochs(epoch))
    return made


def errors(seed: int, blocks: int) -> Floats:
    """Blocks x rows: an error in twenty blocks of a row."""
    return np.random.default_rng(seed).poisson(0.05, (blocks, ROWS)).astype(np.float64)


def play(
    made: Streams, counted: Floats, first: int = 0, included: Bools | None = None, needed: int = 3
) -> list[Outcome]:
    here = np.ones(ROWS, dtype=np.bool_) if included is None else included
    members, out = np.full(ROWS, needed, dtype=np.int64), []
    nothing = np.full((ROWS, COLUMNS, 3), np.nan, dtype=np.float32)
    for b, row in enumerate(counted):
        x = np.full((ROWS, COLUMNS), np.nan, dtype=np.float32)
        x[:, COUNTED] = row
        heard = np.where(here[:, None], x, np.nan)
        count = np.broadcast_to(np.isfinite(heard).sum(axis=0), x.shape)
        total = np.where(count > 0, np.nansum(heard, axis=0), np.nan).astype(np.float32)
        told = Summary(count, nothing, count, nothing, here, np.broadcast_to(total, x.shape))
        out.append(made.step(first + b, x, told, members, members))
    return out


def test_null_rows_that_err_alike_stay_quiet_and_say_so_where_level_evidence_stands() -> None:
    out = play(adopt(streams()), errors(81, 400))
    assert max(o.level[:, COUNTED].max() for o in out) < CROSSING
    assert np.isnan(out[-1].level[:, 1 - COUNTED]).all()
    assert np.isnan(out[-1].change).all()
    assert (out[-1].level_epoch == epochs()).all()


def test_power_a_row_that_errs_in_every_block_is_found_and_dated() -> None:
    x = errors(82, 130)
    x[100:, 4] += 1.0
    last = play(adopt(streams()), x)[-1]
    assert np.flatnonzero(last.level[:, COUNTED] >= CROSSING).tolist() == [4]
    assert 98 <= last.level_onset[4, COUNTED] <= 101


def test_a_row_that_is_not_included_bets_nothing() -> None:
    x, here = errors(83, 40), np.arange(ROWS) != 4
    x[:, 4] += 1.0
    last = play(adopt(streams()), x, included=here)[-1]
    assert last.level[4, COUNTED] == 0.0


def test_too_few_members_bet_nothing() -> None:
    last = play(adopt(streams()), errors(84, 40), needed=ROWS + 1)[-1]
    assert (last.level[:, COUNTED] == 0.0).all()


def test_without_a_total_nothing_is_bet() -> None:
    made, x = adopt(streams()), np.ones((ROWS, COLUMNS), dtype=np.float32)
    count = np.full(x.shape, ROWS, dtype=np.int64)
    nothing = np.full((*x.shape, 3), np.nan, dtype=np.float32)
    needed = np.full(ROWS, 3, dtype=np.int64)
    told = Summary(count, nothing, count, nothing, np.ones(ROWS, dtype=np.bool_))
    assert (made.step(0, x, told, needed, needed).level[:, COUNTED] == 0.0).all()


def test_a_new_epoch_and_rows_that_begin_anew_have_said_nothing() -> None:
    made, x = adopt(streams()), errors(85, 60)
    play(made, x)
    made.anew(np.array([2]))
    after = play(made, np.zeros((1, ROWS)), first=60)[-1].level[:, COUNTED]
    assert after[2] == 0.0
    assert (np.delete(after, 2) != 0.0).all()
    adopt(made, epoch=1)
    assert (play(made, np.zeros((1, ROWS)), first=61)[-1].level[:, COUNTED] == 0.0).all()


def test_streams_are_inherited_by_their_new_places() -> None:
    former, x = adopt(streams()), errors(86, 60)
    before = play(former, x)[-1].level[:, COUNTED]
    place = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)[::-1].ravel().copy()
    place[:COLUMNS] = -1  # the first row is gone
    heir = streams()
    heir.inherit(former, place)
    after = play(adopt(heir), np.zeros((1, ROWS)), first=60)[-1].level[:, COUNTED]
    np.testing.assert_array_equal(after[:-1][::-1], before[1:])
    assert after[-1] == 0.0
