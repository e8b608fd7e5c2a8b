import numpy as np
import numpy.typing as npt
import pytest

from tessera.adapters.catalogue import default_catalogue
from tessera.aggregator.plan.counts import LOOK_EACH, CountsBook
from tessera.aggregator.plan.parts import LEVEL
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.fleet import Fleet
from tessera.aggregator.state.move import Move
from tessera.engine.counts import ODDS
from tessera.engine.evalue import Validity

from ..fleets import POWER, STEP_TIME, flat, fleet_of, tree, worker, workers

Floats = npt.NDArray[np.float64]

SHARDS, ILL = 40, 7
REPLAYS = default_catalogue().of("pcie_replays")
RUNG = REPLAYS.fast


def counted_fleet(shards: int = SHARDS) -> Fleet:
    return fleet_of(flat(shards), metrics=[REPLAYS])


def book_of(shards: int = SHARDS) -> CountsBook:
    return CountsBook(counted_fleet(shards), 5)


def clumps(seed: int, blocks: int, times: float, rate: float = 0.1) -> Floats:
    """Return errors (blocks, shards) that come so many ``times`` each."""
    drawn = np.random.default_rng(seed).poisson(rate, (blocks, SHARDS))
    return times * drawn.astype(np.float64)


def hear(book: CountsBook, x: Floats, *, ill: int | None = None, rung: int = RUNG) -> bool:
    """Tell ``book`` blocks ``x`` (blocks, shards), ``ill`` being open; say if a class fell."""
    rows = x.shape[1] + 1  # and the cluster
    open_rows = np.arange(rows) == (-1 if ill is None else ill)
    eligible, said = np.ones(x.shape[1], dtype=np.bool_), np.zeros((3, 1, rows))
    blocks = x.astype(np.float32)[:, :, None]
    fell = [book.hear(rung, block, eligible, open_rows, lambda: said) for block in blocks]
    return any(fell)


def cell_class(book: CountsBook) -> Validity:
    (cell,) = book.cells.values()
    return cell.validity


def test_a_cell_is_opened_for_three_shards_and_more_and_what_is_counted_only() -> None:
    mixed = fleet_of(tree(2, 4, 8), metrics=[POWER, REPLAYS, STEP_TIME])
    book = CountsBook(mixed, 5)
    assert {mixed.metrics[j].name for _, j in book.cells} == {"pcie_replays"}
    assert (book.rungs()[: mixed.shard_count, 1] == RUNG).all()
    assert (book.rungs()[mixed.shard_count :] == 0).all()
    assert book_of(2).cells == {}


def test_the_plan_tells_margin_rung_and_epoch() -> None:
    (told,) = book_of().plans()
    assert (told.metric, told.rung, told.odds, told.epoch) == ("pcie_replays", RUNG, ODDS, 0)


def test_counts_have_no_change_stream_and_their_class_follows_the_members() -> None:
    classes = {}
    for shards in (2, 3, 7, 8):
        planner = Planner(counted_fleet(shards), shortest=5, horizon=7e5)
        assert planner.change.cells == {}
        parts = planner.parts()
        classes[shards] = int(parts.validity[LEVEL, 0, 0])
        assert parts.weights[LEVEL, 0, 0] == (1.0 if shards > 2 else 0.0)
    assert classes == {
        2: Validity.NONE,
        3: Validity.EMPIRICAL,
        7: Validity.EMPIRICAL,
        8: Validity.CONSTRUCTION,
    }


def test_counts_share_half_of_the_change_channels_weight_as_another_family() -> None:
    fleet = fleet_of(flat(SHARDS), metrics=[POWER, REPLAYS, STEP_TIME])
    weights = Planner(fleet, shortest=5, horizon=7e5).parts().weights[:, :, 0]
    assert weights[LEVEL].tolist() == pytest.approx([0.0, 0.25, 0.5])
    assert weights[:LEVEL].sum(axis=0).tolist() == pytest.approx([0.125, 0.0, 0.125])


def test_null_errors_that_come_one_by_one_leave_the_class() -> None:
    book = book_of()
    assert not hear(book, clumps(1, 600, 1.0))
    assert cell_class(book) == Validity.CONSTRUCTION
    assert not book.abstaining().any()


def test_power_errors_in_pairs_are_ranked_only_and_in_fours_make_no_claim() -> None:
    pairs, fours = book_of(), book_of()
    assert hear(pairs, np.concatenate([clumps(2, 300, 1.0), clumps(3, 200, 2.0)]))
    assert cell_class(pairs) == Validity.EMPIRICAL
    assert pairs.reason(0, 0).startswith("errors come in clumps: dispersion 1.")
    assert hear(fours, clumps(4, 600, 4.0))
    assert cell_class(fours) == Validity.NONE
    assert fours.abstaining()[:SHARDS].all()


def test_the_class_does_not_rise_again() -> None:
    book = book_of()
    hear(book, clumps(4, 100, 4.0))
    assert not hear(book, clumps(5, 1200, 1.0))
    assert cell_class(book) == Validity.NONE


def test_what_an_ill_shard_does_is_not_held_against_the_healthy() -> None:
    x = clumps(6, 600, 1.0)
    x[300:, ILL] += 20.0 * (np.arange(300) % 10 == 0)
    known, unknown = book_of(), book_of()
    assert not hear(known, x, ill=ILL)
    assert hear(unknown, x)


def test_blocks_of_another_rung_and_rows_that_are_not_eligible_say_nothing() -> None:
    book, x = book_of(), clumps(7, 100, 4.0)
    assert not hear(book, x, rung=5)
    (cell,) = book.cells.values()
    assert cell.heard == 0
    none = np.zeros(SHARDS, dtype=np.bool_)
    block, rows = x[0].astype(np.float32)[:, None], np.zeros(SHARDS + 1, dtype=np.bool_)
    book.hear(RUNG, block, none, rows, lambda: np.zeros((3, 1, SHARDS + 1)))
    assert cell.heard == 0


def test_one_error_in_a_block_is_not_remembered() -> None:
    book = book_of()
    hear(book, np.eye(SHARDS))
    (cell,) = book.cells.values()
    assert len(cell.past) == 0


def test_a_changed_fleet_keeps_the_class_and_what_its_shards_did() -> None:
    before = counted_fleet()
    topology = flat(SHARDS + 3)
    after = fleet_of(topology, workers(topology)[5:], metrics=[REPLAYS])
    former, heir = CountsBook(before, 5), CountsBook(after, 5)
    x = clumps(8, LOOK_EACH * 6, 4.0)
    hear(former, x)
    heir.inherit(former, Move.of(before, after))
    assert cell_class(heir) == Validity.NONE
    held, (cell,) = former.cells[0, 0].past, heir.cells.values()
    for (was, counted), (now, still) in zip(held, cell.past, strict=True):
        assert now.tolist() == [row - 5 for row in was if row >= 5]
        assert still.tolist() == counted[was >= 5].tolist()


def test_a_metric_that_a_fleet_does_not_have_is_not_inherited() -> None:
    before, after = counted_fleet(), fleet_of(flat(SHARDS), metrics=[POWER])
    heir = CountsBook(after, 5)
    heir.inherit(CountsBook(before, 5), Move.of(before, after))
    assert heir.cells == {}


def test_groups_are_judged_apart() -> None:
    topology = flat(SHARDS)
    shards = [worker(f"gpu-{i}", job="a" if i < 20 else "b") for i in range(SHARDS)]
    book = CountsBook(fleet_of(topology, shards, metrics=[REPLAYS]), 5)
    x = clumps(9, 400, 4.0)
    x[:, 20:] = clumps(10, 400, 1.0)[:, 20:]
    hear(book, x)
    assert sorted(int(cell.validity) for cell in book.cells.values()) == [
        Validity.NONE,
        Validity.CONSTRUCTION,
    ]
