"""Runs of numbers hold what a set of them holds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tessera.agent.spans import Spans

RUNS = st.tuples(st.integers(0, 40), st.integers(0, 8))
STEPS = st.lists(st.tuples(st.booleans(), RUNS), max_size=30)


@given(STEPS)
def test_they_hold_what_a_plain_set_would_in_runs_that_do_not_touch(
    steps: list[tuple[bool, tuple[int, int]]],
) -> None:
    spans, plain = Spans(), set[int]()
    for add, (first, more) in steps:
        numbers = set(range(first, first + more + 1))
        if add:
            spans.add(first, first + more)
            plain |= numbers
        else:
            spans.discard(first, first + more)
            plain -= numbers
    runs = list(spans)
    assert {n for first, last in runs for n in range(first, last + 1)} == plain
    assert (len(spans), bool(spans)) == (len(plain), bool(plain))
    assert all(number in spans for number in plain)
    assert not any(number in spans for number in set(range(60)) - plain)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(runs))


def test_neighbours_become_one_run_and_a_hole_makes_two() -> None:
    spans = Spans()
    for number in (7, 5, 6, 20):
        spans.add(number)
    assert list(spans) == [(5, 7), (20, 20)]
    spans.discard(6)
    assert list(spans) == [(5, 5), (7, 7), (20, 20)]
