"""The families of cells, each by what only it does; that they hold is tested as a whole."""

import numpy as np
import pytest

from tessera.engine.evalue import Validity
from tessera.lab.cells.generate import Cell, Fleets
from tessera.lab.cells.lists import INVALID, Nodes
from tessera.lab.cells.machine import Machine, Setting
from tessera.lab.cells.nulls import HIGH, Peaks
from tessera.lab.cells.power import FLEET, MEASURED, SHIFTS, planned
from tessera.lab.cells.siblings import CROSSED, Freeze, play_freeze
from tessera.lab.cells.single import oracle_delays, within_block


def crossed(how: Freeze, shift: float = 0.0) -> float:
    hits, of = play_freeze(how, shift, 2000, 1).shares[CROSSED]
    return float(hits.sum() / of.sum())


@pytest.mark.parametrize("how", ["never", "by schedule"])
def test_a_freeze_that_is_decided_beforehand_keeps_the_guarantee_and_the_power(how: Freeze) -> None:
    assert crossed(how) <= 0.05
    assert crossed(how, shift=1.0) >= 0.9


def test_a_freeze_after_a_look_breaks_the_guarantee() -> None:
    assert crossed("after a look") > 0.5


def test_uncontrolled_nodes_are_never_listed_however_loud() -> None:
    nodes = Nodes.draw(np.random.default_rng(1), 0.05)
    highest = np.where(nodes.ill, 30.0, 0.0)
    members = nodes.list_of(highest, 300)
    assert np.array_equal(members, np.flatnonzero(nodes.ill))
    assert nodes.invalid.mean() == pytest.approx(INVALID, abs=1e-3)
    assert not (nodes.ill & nodes.invalid).any()


def test_the_share_of_wrong_names_is_that_of_the_healthy_and_nothing_of_nobody() -> None:
    nodes = Nodes.draw(np.random.default_rng(1), 0.05)
    two = np.array([np.flatnonzero(nodes.ill)[0], np.flatnonzero(~nodes.ill)[0]])
    assert nodes.fdp(two) == 0.5
    assert nodes.fdp(np.zeros(0, dtype=np.int64)) == 0.0


def test_the_oracle_finds_larger_shifts_sooner() -> None:
    one, two = (np.median(oracle_delays(size, 400, 1)) for size in (1.0, 2.0))
    assert two < one < 30.0


def test_a_median_of_whole_blocks_is_interpolated_within_its_block() -> None:
    assert within_block(np.array([5.0, 5.0, 6.0, 6.0])) == 5.0
    assert within_block(np.array([4.0, 5.0, 5.0, 6.0])) == pytest.approx(4.5)
    assert within_block(np.array([5.0, np.inf, np.inf])) == np.inf


def test_a_stopped_value_is_the_one_at_its_first_crossing() -> None:
    drawn = Fleets(Cell("iid"), np.random.default_rng(1), 1, 32)
    machine = Machine(1, 32, Setting(horizon=200), 1)
    while not machine.settled:
        machine.step(drawn.blocks(1)[0])
    peaks, every = Peaks.start(machine.shape), np.ones(machine.shape, dtype=np.bool_)
    at_crossing = np.full(machine.shape, np.nan)
    for x in drawn.blocks(12):
        machine.step(x, 4.0 * drawn.unit)
        log_m = machine.log_m()
        first = (log_m >= HIGH) & np.isnan(at_crossing)
        at_crossing[first] = log_m[first]
        peaks.update(machine, every)
    known = ~np.isnan(at_crossing)
    assert known.all()
    assert np.array_equal(peaks.stopped, at_crossing)
    assert (peaks.every > peaks.stopped).any()
    assert not (peaks.controlled > 0).any()  # one fleet of 32 has not the windows for it
    assert machine.validity().max() == Validity.EMPIRICAL


def test_every_number_of_the_table_of_speed_has_its_row() -> None:
    cells = planned()
    assert all(len(cell.targets) == 2 * len(MEASURED) * len(SHIFTS) for cell in cells)
    assert pytest.approx(11.64, abs=0.01) == FLEET
