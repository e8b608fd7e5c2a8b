from math import log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.metric import BadMetric, Metric, apply_transform, level_block, with_fields

CATALOGUE = default_catalogue()
STEPS = CATALOGUE.of("step_time_seconds")


def test_a_logarithm_of_zero_or_less_is_no_value() -> None:
    found = apply_transform(CATALOGUE.of("step_time_seconds"), [1.0, 0.0, -1.0, np.nan])
    assert found[0] == 0.0
    assert np.isnan(found[1:]).all()


def test_a_ratio_at_its_ends_stays_finite_and_beyond_them_is_no_value() -> None:
    found = apply_transform(CATALOGUE.of("utilization_ratio"), [0.0, 0.5, 1.0, 1.1, -0.1])
    assert found[:3] == pytest.approx([-np.log(999), 0.0, np.log(999)])
    assert np.isnan(found[3:]).all()


def test_a_throttled_share_is_judged_in_milliseconds_a_second() -> None:
    found = apply_transform(CATALOGUE.of("throttled_ratio"), [0.0, 0.5])
    assert found == pytest.approx([0.0, np.log(501)])


def test_bytes_below_zero_are_no_value() -> None:
    found = apply_transform(CATALOGUE.of("memory_used_bytes"), [-1.0, 0.0])
    assert np.isnan(found[0])
    assert found[1] == 0.0


def test_a_transform_keeps_the_shape_and_leaves_its_input_alone() -> None:
    values = np.full((2, 3, 4), 7.0)
    assert apply_transform(CATALOGUE.of("power_watts"), values).shape == (2, 3, 4)
    assert (values == 7.0).all()


@given(
    st.sampled_from(["identity", "log", "log1p", "logit"]),
    st.lists(st.floats(0.002, 0.998), min_size=2, max_size=5),
)
@settings(derandomize=True, max_examples=40, deadline=None)
def test_every_transform_keeps_the_order_of_values(transform: str, values: list[float]) -> None:
    row = Metric("x", "1", transform=transform)  # type: ignore[arg-type] # sampled from its words
    ordered = np.sort(np.asarray(values))
    assert (np.diff(apply_transform(row, ordered)) >= 0).all()


@pytest.mark.parametrize(
    ("tau", "refresh", "block"), [(0, 1, 1), (5, 1, 30), (0, 10, 30), (120, 1, 600), (900, 1, 600)]
)
def test_a_level_block_spans_three_decay_times_and_three_refreshes(
    tau: float, refresh: float, block: int
) -> None:
    assert level_block(tau, refresh) == block


def test_a_job_may_have_margins_of_its_own_and_all_others_keep_the_metrics() -> None:
    wide = with_fields(STEPS, {"jobs": {"eval": {"margin": 0.2}, "dev": {"margin": None}}})
    assert wide.margin_of("eval", equals=True) == pytest.approx(log1p(0.2))
    assert wide.margin_of("eval", equals=False) == pytest.approx(log1p(0.2))
    assert wide.margin_of("dev", equals=True) is None
    assert wide.margin_of("train", equals=True) == STEPS.margin
    assert wide.margin_of("", equals=False) == STEPS.role_margin


@pytest.mark.parametrize(
    ("jobs", "word"),
    [
        ([], "jobs is"),
        ({"eval": 0.2}, "is no object"),
        ({"eval": {"tau": 1}}, "has a field 'tau'"),
        ({"eval": {"margin": -1}}, "margin is -1"),
    ],
)
def test_margins_of_a_job_that_are_none_are_refused_in_one_line(jobs: object, word: str) -> None:
    with pytest.raises(BadMetric, match=word) as refused:
        with_fields(STEPS, {"jobs": jobs})
    assert "\n" not in str(refused.value)


def test_a_job_needs_a_bad_direction_for_its_margin() -> None:
    with pytest.raises(BadMetric, match="no bad direction"):
        with_fields(Metric("power_watts", "W"), {"jobs": {"train": {"margin": 20.0}}})
