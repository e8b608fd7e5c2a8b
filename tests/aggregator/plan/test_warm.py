from dataclasses import replace

import numpy as np
import pytest

from tessera.aggregator.plan.cell import ChangeCell
from tessera.aggregator.plan.change import ChangeBook
from tessera.aggregator.plan.epochs import Epochs
from tessera.aggregator.plan.monitor import Monitor
from tessera.aggregator.plan.warm import records
from tessera.engine.calibration import OWN_ENOUGH, Calibration
from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.evalue import Validity
from tessera.proto.baseline_file import Baseline

from ...proto.baselines import baseline, cell, columns, stream
from ..fleets import POWER, flat, fleet_of

SHARDS = 10
FLEET = fleet_of(flat(SHARDS), metrics=[replace(POWER, fast=5, slow=30)])
SKU, METRIC = FLEET.shards[0].sku, FLEET.metrics[0].name
ROWS = np.arange(SHARDS)


def of_fleet(blocks: int = 100, **changes: object) -> Baseline:
    """Return a baseline of the ten shards at 10 s, with other values for some fields."""
    about = FLEET.shards[0]
    here = {
        "sku": about.sku,
        "job": about.job,
        "role": about.role,
        "group": FLEET.groups[FLEET.group[0]],
        "metric": METRIC,
        "rung": 10,
    }
    made: dict[str, object] = {
        "cells": (cell(pool=f"sku={SKU}", metric=METRIC, rung=10, validity=2, reasons=()),),
        "streams": tuple(
            stream(s.id, **here, validity=2, kappa=1.5 if i == 3 else 1.1)
            for i, s in enumerate(FLEET.shards)
        ),
        "columns": columns(SHARDS, blocks),
        "id": "abc",
    }
    return baseline(SHARDS, **{**made, **changes})


def book(made: Baseline | None, *, shortest: int = 5, fixed: bool = False) -> ChangeBook:
    return ChangeBook(
        FLEET, Epochs(), shortest=shortest, horizon=7e5, fixed_rungs=fixed, baseline=made
    )


def fast(made: ChangeBook) -> ChangeCell:
    return made.cells[0, 0, 0]


def test_a_cell_that_is_covered_starts_with_phi_kappa_rung_and_class() -> None:
    made = fast(book(of_fleet()))
    assert (made.phi, made.kappa, made.rung) == (0.4, 1.1, 10)
    assert made.own == {3: 1.5}
    assert (made.validity == Validity.CONSTRUCTION).all()


def test_the_audit_says_which_baseline_it_was() -> None:
    epochs = Epochs()
    ChangeBook(FLEET, epochs, shortest=5, horizon=7e5, baseline=of_fleet())
    (begun,) = epochs.drain()
    assert begun.reason == "warm start from baseline abc"
    assert METRIC in begun.scope


def test_without_a_baseline_nothing_is_known() -> None:
    assert np.isnan(fast(book(None)).phi)
    assert book(None).cold == []


def test_a_short_past_is_at_most_empirical() -> None:
    made = fast(book(of_fleet(blocks=40)))
    assert (made.validity == Validity.EMPIRICAL).all()
    assert not made.recalibrated


def test_a_short_past_counts_no_longer_after_two_hundred_blocks_of_its_own() -> None:
    made = book(of_fleet(blocks=40, cells=(replace(of_fleet().cells[0], recalibrated=True),)))
    variance = np.ones((len(FLEET.rows), 1))
    before = np.full((len(FLEET.rows), 1), OWN_ENOUGH)
    before[0] = 40 + LEARNING_BLOCKS - 1
    assert not made.hear_long_run(10, variance, before)
    assert made.hear_long_run(10, variance, before + 1)
    assert fast(made).young == {}


def test_a_long_past_that_had_its_own_kappa_keeps_it() -> None:
    made = book(of_fleet(cells=(replace(of_fleet().cells[0], recalibrated=True),)))
    heard = np.full((len(FLEET.rows), 1), OWN_ENOUGH + 1)
    assert not made.hear_long_run(10, np.ones((len(FLEET.rows), 1)), heard)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (of_fleet(cells=()), "it has no such pool and metric"),
        (of_fleet(cells=(cell(pool=f"sku={SKU}", metric="m"),)), "it has no such pool and metric"),
        (
            of_fleet(cells=(replace(of_fleet().cells[0], kappa=None),)),
            "it was still learning there",
        ),
        (
            of_fleet(streams=tuple(replace(s, job="other") for s in of_fleet().streams)),
            "10 shards learn: their SKU, job, role or peer group is another one",
        ),
        (of_fleet(blocks=19), "10 shards learn: fewer than 20 blocks stand behind them"),
    ],
)
def test_what_is_not_covered_learns_and_says_why(made: Baseline, reason: str) -> None:
    opened = book(made)
    assert np.isnan(fast(opened).phi)
    assert any(reason in why for _, why in opened.cold)


def test_one_shard_that_is_left_out_learns_and_the_others_do_not() -> None:
    whole = of_fleet()
    name = FLEET.shards[4].id
    streams = tuple(s for s in whole.streams if s.shard != name)
    part = replace(whole, streams=streams, columns=columns(9), left_out={name: "it was ill"})
    opened = book(part)
    assert fast(opened).phi == 0.4
    assert any("1 shards learn: left out of it: it was ill" in why for _, why in opened.cold)


def test_a_block_length_that_was_asked_for_comes_before_the_baseline() -> None:
    opened = book(of_fleet(), fixed=True)
    assert fast(opened).rung == 5
    assert any("not used: its blocks are of 10" in why for _, why in opened.cold)


def test_blocks_shorter_than_readings_come_are_not_used() -> None:
    opened = book(of_fleet(), shortest=30)
    assert np.isnan(fast(opened).phi)
    assert any("the shortest here is 30 s" in why for _, why in opened.cold)


def test_what_a_plan_knows_is_what_another_starts_with() -> None:
    opened = book(of_fleet())
    (record, sums), _ = records(iter(opened.cells.values()), FLEET)
    assert (record.phi, record.kappa, record.rung) == (0.4, 1.1, 10)
    np.testing.assert_array_equal(sums[10], of_fleet().windows[0, 10])


def test_a_stream_whose_agent_learned_after_all_gets_its_own_kappa() -> None:
    opened = book(of_fleet())
    scores = np.full((SHARDS, 1, 100), np.nan)
    scores[2, 0] = 2.0 * np.random.default_rng(1).standard_normal(100)
    assert opened.hear_baseline(10, ROWS, scores)
    assert fast(opened).own[2] > 1.5


def test_a_stream_of_a_short_past_that_joins_a_cell_is_empirical_at_best() -> None:
    def of(rows: list[int], young: dict[int, float]) -> ChangeCell:
        made = ChangeCell(
            pool=0,
            column=0,
            rung=5,
            slow=False,
            rows=np.array(rows),
            monitor=Monitor(len(rows), slow=False),
            epoch=1,
        )
        made.phi, made.kappa, made.young = 0.5, 1.0, young
        made.calibration = Calibration(Validity.CONSTRUCTION, 1.0, ())
        best, short = int(Validity.CONSTRUCTION), int(Validity.EMPIRICAL)
        made.validity = np.array([short if r in young else best for r in rows], dtype=np.int8)
        return made

    cell = of([0, 1, 2, 3], {2: 30.0, 3: 30.0})
    cell.inherit(of([0, 1], {}), np.arange(2))
    assert cell.young == {2: 30.0, 3: 30.0}
    assert cell.validity.tolist() == [2, 2, 1, 1]
