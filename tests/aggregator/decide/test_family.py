from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from tessera.aggregator.decide.family import Selection, Selector
from tessera.aggregator.state.fleet import Fleet
from tessera.engine.evalue import EValues, Validity
from tessera.engine.selection import sup_fdr_adjust

from ..fleets import flat, fleet_of, graph, tree

Floats = npt.NDArray[np.float64]

Q = 0.1
HUGE = 60.0  # nats: selected whatever the adjuster takes


@dataclass
class Judge:
    """A selector, and values of one class that are quiet unless told otherwise."""

    fleet: Fleet
    validity: Validity = Validity.CONSTRUCTION
    selector: Selector = field(init=False)

    def __post_init__(self) -> None:
        self.selector = Selector(self.fleet, Q)

    def select(
        self,
        controlled: Mapping[str, float],
        ranked: Mapping[str, float],
        anew: tuple[str, ...] = (),
    ) -> Selection:
        rows = np.isin(self.fleet.rows, anew)
        return self.selector.select(self.values(controlled), self.values(ranked), rows)

    def values(self, log_e: Mapping[str, float]) -> EValues:
        found = np.array([log_e.get(name, 0.0) for name in self.fleet.rows])
        return EValues(found, np.full(len(found), self.validity, dtype=np.int8))

    def names(self, rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(self.fleet.rows[r] for r in rows)


def huge(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, HUGE)


def shards(count: int = 20) -> Judge:
    return Judge(fleet_of(flat(count)))


def test_nothing_is_selected_in_a_quiet_fleet() -> None:
    found = shards().select({}, {})
    assert len(found.reported) == len(found.controlled) == 0
    assert found.threshold == log(21 / Q)


def test_strong_evidence_of_good_class_is_controlled_and_reported() -> None:
    judge = shards()
    found = judge.select({"gpu-3": HUGE}, {"gpu-3": HUGE})
    assert judge.names(found.controlled.members) == judge.names(found.reported) == ("gpu-3",)


def test_what_only_ranks_is_reported_and_not_controlled() -> None:
    judge = shards()
    found = judge.select({}, {"gpu-3": HUGE})
    assert judge.names(found.reported) == ("gpu-3",)
    assert len(found.controlled) == 0


def test_a_row_without_three_in_its_group_is_never_reported() -> None:
    assert len(shards().select({"cluster": HUGE}, {"cluster": HUGE}).reported) == 0


def test_the_running_maximum_remembers_evidence_that_fell() -> None:
    judge = shards()
    judge.select({"gpu-3": HUGE}, {})
    assert judge.names(judge.select({}, {}).controlled.members) == ("gpu-3",)


def test_the_running_maximum_starts_anew_where_a_class_or_an_epoch_was_lost() -> None:
    judge = shards()
    judge.select({"gpu-3": HUGE, "gpu-4": HUGE}, {})
    found = judge.select({}, {}, anew=("gpu-3",))
    assert judge.names(found.controlled.members) == ("gpu-4",)


def test_children_are_explained_by_the_node_above_them() -> None:
    judge = Judge(fleet_of(tree(1, 3, 4)))
    ill = huge("host-0-1", "gpu-0-1-0", "gpu-0-1-1")
    found = judge.select(ill, ill)
    assert judge.names(found.reported) == ("host-0-1",)
    by = found.explained_by[judge.fleet.rows.index("gpu-0-1-0")]
    assert judge.fleet.rows[by] == "host-0-1"
    assert judge.names(found.controlled.members) == ("host-0-1",)


def test_a_host_is_not_blamed_for_one_of_its_shards() -> None:
    judge = Judge(fleet_of(tree(1, 3, 4)))
    ill = huge("host-0-1", "gpu-0-1-0")
    assert judge.names(judge.select(ill, ill).reported) == ("gpu-0-1-0",)


def test_a_list_that_attribution_shortened_is_checked_again() -> None:
    judge = Judge(fleet_of(tree(1, 3, 8)))
    n = len(judge.fleet.rows)
    beneath = huge(*(f"gpu-0-1-{g}" for g in range(8)))
    # Enough for a place in a list of ten, not for one of two.
    weak = (log(n / (Q * 10)) - log(0.08)) / 0.92 + 0.1
    found = judge.select({"host-0-1": HUGE, "gpu-0-0-0": weak, **beneath}, {})
    assert judge.names(found.reported) == ("gpu-0-0-0", "host-0-1")
    assert judge.names(found.controlled.members) == ("host-0-1",)


def test_two_shards_of_a_fifth_or_less_are_faults() -> None:
    judge = shards(10)
    found = judge.select(huge("gpu-1", "gpu-2"), {})
    assert not found.heterogeneous.any()
    assert len(found.controlled) == 2


def test_more_than_a_fifth_of_a_group_is_no_claim() -> None:
    judge = shards(9)
    found = judge.select(huge("gpu-1", "gpu-2"), {})
    assert judge.names(np.flatnonzero(found.heterogeneous)) == ("gpu-1", "gpu-2")
    assert judge.names(found.reported) == ("gpu-1", "gpu-2")
    assert len(found.controlled) == 0


def test_one_shard_of_a_small_group_is_a_fault() -> None:
    judge = shards(3)
    found = judge.select({"gpu-1": HUGE}, {})
    assert not found.heterogeneous.any()
    assert judge.names(found.controlled.members) == ("gpu-1",)


def test_shards_that_a_node_explains_do_not_make_their_group_heterogeneous() -> None:
    judge = Judge(fleet_of(tree(1, 3, 4)))
    ill = huge("host-0-1", *(f"gpu-0-1-{g}" for g in range(4)))
    assert not judge.select(ill, ill).heterogeneous.any()


def test_physical_nodes_speak_before_logical_ones() -> None:
    hosts = {f"host-{h}": " ".join(f"gpu-{h}-{g}" for g in range(4)) for h in range(3)}
    stages = {f"stage-{h}": f"{shards} gpu-9-{h}" for h, shards in enumerate(hosts.values())}
    judge = Judge(fleet_of(graph(hosts | stages)))
    ill = huge("host-1", "stage-1", *hosts["host-1"].split())
    found = judge.select(ill, ill)
    assert judge.names(found.reported) == ("host-1",)


def test_a_claim_is_quoted_with_the_adjusted_value_and_the_length_of_its_list() -> None:
    judge = shards()
    found = judge.select(huge("gpu-3", "gpu-4"), huge("gpu-3"))
    row = judge.fleet.rows.index("gpu-3")
    assert found.listed[row] == 2
    assert found.log_e[row] == found.controlled.log_e[0] == sup_fdr_adjust(np.array([HUGE]))[0]


def test_what_only_ranks_is_quoted_with_its_merged_value() -> None:
    judge = shards()
    found = judge.select({}, {"gpu-3": HUGE})
    row = judge.fleet.rows.index("gpu-3")
    assert (found.listed[row], found.log_e[row]) == (1, HUGE)
    assert np.flatnonzero(found.listed).tolist() == [row]


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_no_reported_value_lies_below_the_bar_that_it_passed(seed: int, ill: int) -> None:
    random = np.random.default_rng(seed)
    judge = Judge(fleet_of(tree(3, 3, 4)))
    n = len(judge.fleet.rows)
    for _ in range(3):  # the running maximum remembers what the ranked values forget
        values = 25.0 * random.random((2, n)) * (random.random((2, n)) < ill / n)
        both = [EValues(v, np.full(n, Validity.CONSTRUCTION, dtype=np.int8)) for v in values]
        found = judge.selector.select(both[0], both[1], np.zeros(n, dtype=np.bool_))
        listed = found.listed[found.reported]
        assert (listed > 0).all()
        assert (found.log_e[found.reported] >= found.threshold - np.log(listed) - 1e-9).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.floats(0.5, 25.0))
def test_the_quick_exit_is_the_slow_path(seed: int, some: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    judge = Judge(fleet_of(tree(3, 3, 4)))
    slow = Selector(judge.fleet, Q)
    slow.least = -np.inf  # never quick
    n = len(judge.fleet.rows)
    for _ in range(3):
        log_e = np.zeros((2, n))
        ill = random.integers(0, n, some)
        log_e[:, ill] = scale * random.random((2, some))
        validity = random.integers(0, 3, n).astype(np.int8)
        both = [EValues(v, validity) for v in log_e]
        anew = random.random(n) < 0.1
        one, other = (s.select(both[0], both[1], anew) for s in (judge.selector, slow))
        np.testing.assert_array_equal(one.reported, other.reported)
        np.testing.assert_array_equal(one.explained_by, other.explained_by)
        np.testing.assert_array_equal(one.heterogeneous, other.heterogeneous)
        np.testing.assert_array_equal(one.controlled.members, other.controlled.members)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_every_list_is_consistent_with_itself(seed: int, ill: int) -> None:
    random = np.random.default_rng(seed)
    judge = Judge(fleet_of(tree(3, 3, 4)))
    n = len(judge.fleet.rows)
    log_e = np.zeros(n)
    log_e[random.integers(0, n, ill)] = 25.0 * random.random(ill)
    values = EValues(log_e, np.full(n, Validity.CONSTRUCTION, dtype=np.int8))
    found = judge.selector.select(values, values, np.zeros(n, dtype=np.bool_)).controlled
    if len(found):
        assert found.log_e.min() >= log(n / (Q * len(found))) - 1e-9
        assert found.n == n
