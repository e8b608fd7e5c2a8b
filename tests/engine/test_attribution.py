import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tessera.engine.attribution import Family, binomial_upper_tail, explain_away, group_mean_e

Tree = dict[str, list[str]]

RACK: Tree = {
    "rack": ["h0", "h1", "h2", "h3"],
    **{f"h{h}": [f"h{h}s{s}" for s in range(4)] for h in range(4)},
}


class Told:
    """A graph by names, so that a test reads as a picture."""

    def __init__(self, children: Tree, logical: frozenset[str] = frozenset()) -> None:
        below = [child for some in children.values() for child in some]
        self.names = list(dict.fromkeys([*children, *below]))
        at = {name: i for i, name in enumerate(self.names)}
        lists = [[at[c] for c in children.get(name, [])] for name in self.names]
        indptr = np.cumsum([0, *map(len, lists)])
        indices = np.array([c for some in lists for c in some], dtype=np.int64)
        rank = np.array([int(name in logical) for name in self.names])
        self.family = Family.of(indptr, indices, rank)

    def mask(self, names: set[str]) -> np.typing.NDArray[np.bool_]:
        return np.array([name in names for name in self.names])

    def explain(self, *selected: str, silent: frozenset[str] = frozenset()) -> dict[str, str]:
        """Return {selected node: what explains it}; a reported one explains itself."""
        chosen = self.mask(set(selected))
        reported, by = explain_away(chosen, ~self.mask(set(silent)), self.family)
        told = {self.names[i]: self.names[by[i]] for i in np.flatnonzero(by >= 0)}
        return told | {self.names[i]: self.names[i] for i in reported}


def test_a_shard_alone_is_reported() -> None:
    assert Told(RACK).explain("h0s0") == {"h0s0": "h0s0"}


def test_a_host_explains_its_shards_when_half_of_them_are_selected() -> None:
    told = Told(RACK).explain("h0", "h0s0", "h0s1")
    assert told == {"h0": "h0", "h0s0": "h0", "h0s1": "h0"}


def test_a_host_is_not_blamed_for_one_of_its_shards() -> None:
    assert Told(RACK).explain("h0", "h0s0") == {"h0s0": "h0s0"}


def test_a_host_whose_shards_are_all_quiet_is_reported() -> None:
    assert Told(RACK).explain("h0") == {"h0": "h0"}


def test_half_the_shards_without_the_host_stay_shards() -> None:
    assert Told(RACK).explain("h0s0", "h0s1", "h0s2") == {s: s for s in ("h0s0", "h0s1", "h0s2")}


def test_the_highest_node_speaks_for_all_beneath_it() -> None:
    told = Told(RACK).explain("rack", "h0", "h1", "h0s0", "h0s1", "h3s3")
    assert set(told.values()) == {"rack"}
    assert len(told) == 6


def test_where_the_children_disagree_each_is_considered_on_its_own() -> None:
    told = Told(RACK).explain("rack", "h0", "h0s0", "h0s1", "h0s2", "h3s3")
    assert told == {"h0": "h0", "h0s0": "h0", "h0s1": "h0", "h0s2": "h0", "h3s3": "h3s3"}


def test_children_without_a_hypothesis_do_not_count() -> None:
    silent = frozenset(["h0s1", "h0s2", "h0s3"])
    assert Told(RACK).explain("h0", "h0s0", silent=silent) == {"h0": "h0", "h0s0": "h0"}


def test_a_level_that_abstains_is_looked_through() -> None:
    silent = frozenset(["h0", "h1", "h2", "h3"])
    assert Told(RACK).explain("rack", "h0s0", silent=silent) == {"h0s0": "h0s0"}
    half = [f"h{h}s{s}" for h in range(2) for s in range(4)]
    assert set(Told(RACK).explain("rack", *half, silent=silent).values()) == {"rack"}


def test_a_selection_without_a_contrast_is_nothing() -> None:
    assert Told(RACK).explain("h0", silent=frozenset(["h0"])) == {}


PSU: Tree = {"rack": ["a", "b", "c", "d"], "psu": ["a", "b"]}


def test_of_overlapping_nodes_the_one_that_is_selected_explains() -> None:
    assert Told(PSU).explain("psu", "a", "b") == {"psu": "psu", "a": "psu", "b": "psu"}


def test_physical_goes_before_logical_when_both_explain_equally() -> None:
    overlap: Tree = {"stage": ["a", "b", "c"], "rack": ["a", "b", "d"]}
    told = Told(overlap, logical=frozenset(["stage"])).explain("stage", "rack", "a", "b")
    assert told == {"rack": "rack", "stage": "rack", "a": "rack", "b": "rack"}
    told = Told(overlap, logical=frozenset(["rack"])).explain("stage", "rack", "a", "b")
    assert set(told.values()) == {"stage"}


def test_one_ill_shard_of_a_small_stage_is_not_told_as_the_stage() -> None:
    pair: Tree = {"stage": ["a", "b"]}
    told = Told(pair, logical=frozenset(["stage"])).explain("stage", "a")
    assert told == {"a": "a"}


def test_a_rack_of_two_hosts_is_not_blamed_for_one_of_them_and_is_for_both_or_neither() -> None:
    pair: Tree = {"rack": ["a", "b"]}
    assert Told(pair).explain("rack", "a") == {"a": "a"}
    assert Told(pair).explain("rack", "a", "b") == {"rack": "rack", "a": "rack", "b": "rack"}
    assert Told(pair).explain("rack") == {"rack": "rack"}


def test_of_two_children_one_that_abstains_leaves_the_other_to_decide() -> None:
    told = Told({"rack": ["a", "b"]}).explain("rack", "a", silent=frozenset(["b"]))
    assert told == {"rack": "rack", "a": "rack"}


def test_half_of_four_children_are_enough() -> None:
    four: Tree = {"rack": ["a", "b", "c", "d"]}
    assert set(Told(four).explain("rack", "a", "b").values()) == {"rack"}


def test_overlapping_nodes_that_explain_different_things_are_both_reported() -> None:
    overlap: Tree = {"stage": ["a", "b", "c"], "rack": ["b", "d", "e"]}
    told = Told(overlap, logical=frozenset(["stage"])).explain("stage", "rack", "a", "b", "d")
    assert told == {"stage": "stage", "a": "stage", "b": "rack", "rack": "rack", "d": "rack"}


def test_what_a_node_speaks_for_follows_it_when_it_is_explained_itself() -> None:
    tree: Tree = {"rack": ["host", "c"], "host": ["a", "b"], "stage": ["a", "b", "d"]}
    told = Told(tree, logical=frozenset(["stage"])).explain("rack", "host", "stage", "a", "b", "c")
    assert set(told.values()) == {"rack"}
    assert len(told) == 6


@settings(max_examples=60, derandomize=True)
@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_every_selected_leaf_is_reported_or_explained(chosen: set[int], silent: set[int]) -> None:
    told = Told(RACK)
    selected = np.isin(np.arange(21), list(chosen))
    contrast = ~np.isin(np.arange(21), list(silent))
    reported, by = explain_away(selected, contrast, told.family)
    leaves = np.flatnonzero(selected & contrast & (told.family.height == 0))
    assert all(leaf in reported or by[leaf] in reported for leaf in leaves)
    assert set(by[by >= 0]) <= set(reported)
    assert (selected & contrast)[reported].all()
    assert (by[reported] == -1).all()


def test_no_reported_node_stands_beneath_another() -> None:
    told = Told(RACK)
    everything = np.ones(21, dtype=np.bool_)
    reported, by = explain_away(everything, everything, told.family)
    assert reported.tolist() == [0]
    assert by.tolist() == [-1] + [0] * 20


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        Told({"a": ["b"], "b": ["a"]})


@pytest.mark.parametrize(
    ("indptr", "indices"), [([0, 2], [0]), ([1, 1], []), ([0, 1], [5]), ([0, 1, 0], [])]
)
def test_broken_indices_are_refused(indptr: list[int], indices: list[int]) -> None:
    with pytest.raises(ValueError, match="indptr"):
        Family.of(np.array(indptr), np.array(indices, dtype=np.int64))


def test_nodes_need_not_come_in_order() -> None:
    family = Family.of(np.array([0, 0, 1, 3]), np.array([0, 1, 0]))
    assert len(family) == 3
    assert family.height.tolist() == [0, 1, 2]
    assert sorted(family.beneath(2)) == [0, 1]


@settings(max_examples=60, derandomize=True)
@given(st.integers(0, 300), st.integers(-1, 301), st.floats(0.0, 1.0))
def test_the_binomial_tail_is_exact(n: int, k: int, p: float) -> None:
    expected = float(binom.sf(k - 1, n, p))
    assert binomial_upper_tail(k, n, p) == pytest.approx(expected, rel=1e-9, abs=1e-290)


def test_a_binomial_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no binomial"):
        binomial_upper_tail(1, 10, 1.5)
    with pytest.raises(ValueError, match="no binomial"):
        binomial_upper_tail(1, -1, 0.5)


def test_the_group_mean_is_the_mean() -> None:
    assert group_mean_e(np.log([1.0, 2.0, 15.0])) == pytest.approx(np.log(6.0))
    with pytest.raises(ValueError, match="no parts"):
        group_mean_e(np.empty(0))
