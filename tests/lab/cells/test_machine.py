from copy import deepcopy

import numpy as np
import pytest

from tessera.engine.calibration import OWN_ENOUGH, block_correlation
from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.evalue import Validity
from tessera.lab.cells.generate import Cell, Fleets
from tessera.lab.cells.machine import Machine, Setting

FLEETS, PEERS = 2, 32
AR = Cell("AR .9", phi=0.9, block=5)


def drawn_and_machine(cell: Cell, setting: Setting, seed: int = 1) -> tuple[Fleets, Machine]:
    drawn = Fleets(cell, np.random.default_rng(seed), FLEETS, PEERS)
    return drawn, Machine(FLEETS, PEERS, setting, seed)


def until_settled(cell: Cell, setting: Setting) -> tuple[Fleets, Machine]:
    drawn, machine = drawn_and_machine(cell, setting)
    while not machine.settled:
        machine.step(drawn.blocks(1)[0])
    return drawn, machine


def test_a_fleet_learns_its_memory_bets_and_begins_anew_when_its_own_variance_is_known() -> None:
    drawn, machine = drawn_and_machine(AR, Setting())
    while not machine.betting:
        machine.step(drawn.blocks(1)[0])
    assert machine.block == LEARNING_BLOCKS - 1
    known = block_correlation(-1.0 / np.log(0.9), 5)
    assert [cell.phi for cell in machine.cells] == pytest.approx([known] * FLEETS, abs=0.05)
    while not machine.settled:
        machine.step(drawn.blocks(1)[0])
    assert machine.block == LEARNING_BLOCKS + OWN_ENOUGH  # the first bet lacks its predecessor
    assert not machine.age().any()


def test_the_slow_rung_is_plain_and_pays_for_its_memory_by_kappa() -> None:
    _, machine = until_settled(Cell("slow", phi=0.9, block=30), Setting(slow=True))
    assert [cell.phi for cell in machine.cells] == [0.0] * FLEETS
    assert all(cell.kappa > 1.1 for cell in machine.cells)


def test_a_shard_shifted_as_if_alone_has_the_evidence_of_one_that_really_is_alone() -> None:
    drawn, machine = until_settled(AR, Setting())
    real, shift = deepcopy(machine), 4.0 * drawn.unit
    only = np.zeros_like(shift)
    only[3] = shift[3]
    for x in drawn.blocks(40):
        machine.step(x, shift)
        real.step(x + only)
    assert machine.log_m()[3].min() > 4.0
    assert np.array_equal(machine.log_m()[3], real.log_m()[3])


def test_a_shift_teaches_the_calibration_nothing() -> None:
    drawn, machine = until_settled(AR, Setting())
    before = [cell.calibration for cell in machine.cells]
    for x in drawn.blocks(120):
        machine.step(x, 4.0 * drawn.unit)
    assert [cell.calibration for cell in machine.cells] == before


def test_a_pool_shares_one_calibration_and_fleets_apart_have_their_own() -> None:
    _, together = until_settled(AR, Setting(pool=2))
    _, apart = until_settled(AR, Setting())
    assert (len(together.cells), len(apart.cells)) == (1, FLEETS)
    assert len(together.cells[0].rows) == FLEETS * PEERS
    assert apart.cells[0].rows.tolist() == list(range(0, FLEETS * PEERS, FLEETS))


def test_most_of_a_pool_crossing_at_once_costs_it_its_class() -> None:
    drawn, machine = until_settled(AR, Setting())
    assert (machine.validity() == Validity.EMPIRICAL).all()
    tilted = np.where(np.arange(PEERS) < PEERS // 3, 6.0, 0.0)[:, None]
    for x in drawn.blocks(30):
        machine.step(x + tilted)
    assert (machine.validity() == Validity.NONE).all()


def test_fleets_with_missing_blocks_settle_too() -> None:
    drawn, machine = until_settled(Cell("gaps", missing=0.05, common=0.0), Setting())
    machine.step(drawn.blocks(1)[0])
    assert np.isfinite(machine.log_m()).all()


def test_an_epoch_by_the_clock_begins_at_one_on_the_side_that_is_asked() -> None:
    drawn, machine = until_settled(AR, Setting())
    for x in drawn.blocks(20):
        machine.step(x, 4.0 * drawn.unit)
    up, down = deepcopy(machine), deepcopy(machine)
    for copy, side in ((up, 1), (down, -1)):
        copy.begin(100, side)
        assert not copy.log_m().any()
    for x in drawn.blocks(20):
        up.step(x, 4.0 * drawn.unit)
        down.step(x, 4.0 * drawn.unit)
    assert np.median(up.log_m()) > 3.0
    assert np.median(down.log_m()) < 0.0
