"""Numbers of the reference engine that ours must reproduce, and defects that it must not.

vectors.json: johnpatrickwarren-oss/deploysignal-engine, Apache-2.0, commit in its `meta`;
how inputs that the recording lacks were inferred stands beside them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.attribution import binomial_upper_tail, group_mean_e
from tessera.engine.evalue import EValues, Validity
from tessera.engine.merging import RunningMaximum, log_mean, log_product
from tessera.engine.moments import Moments, Tier
from tessera.engine.selection import e_bh

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
WELFORD, E_BH, MERGE = (
    VECTORS[name] for name in ("14_welford_runtime", "16_e_bh", "17_hierarchical_combination")
)


def close(value: object) -> object:
    return pytest.approx(value, rel=1e-9)


def values(e: list[float] | Floats) -> EValues:
    with np.errstate(divide="ignore"):
        log_e = np.log(np.asarray(e, dtype=np.float64))
    return EValues(log_e, np.full(len(log_e), Validity.EMPIRICAL, dtype=np.int8))


def tier_series(length: int) -> Floats:
    i = np.arange(length + 3)
    noise = np.sin(1.7 * i + 0.3) + 0.8 * np.sin(0.91 * i**2 + 1.1)
    noise += 0.6 * np.cos(2.3 * i + 0.05 * i**2)
    columns = 3 + 0.1 * noise[:length], 10 + 0.2 * noise[3 : length + 3]
    return np.round(np.stack(columns, axis=1), 4)


def test_running_moments_follow_the_reference_through_an_outlier_of_a_million() -> None:
    moments = Moments.start(2)
    for sample, expected in zip(
        WELFORD["inputs"]["samples"], WELFORD["outputs"]["welford"], strict=True
    ):
        moments.update(np.array(sample, dtype=np.float64))
        covariance = moments.covariance()
        assert moments.count == expected["n"]
        assert moments.mean.tolist() == close(expected["mean"])
        assert moments.m2.ravel() == close(np.ravel(expected["m2"]))
        assert (covariance is None) == (expected["cov"] is None)
        assert covariance is None or covariance.ravel() == close(np.ravel(expected["cov"]))


def test_tiers_and_their_outputs_follow_the_reference() -> None:
    expected = {entry["i"]: entry for entry in WELFORD["outputs"]["tiers"]}
    moments = Moments.start(2)
    for i, x in enumerate(tier_series(62)):
        moments.update(x, "h1")
        if i in expected:
            entry = expected[i]
            assert (moments.count, moments.tier.word) == (entry["n"], entry["conf"])
            assert moments.mean.tolist() == close(entry.get("mean_vector", moments.mean.tolist()))
            delta = (moments.mean - [3.0, 10.0]).tolist()
            assert delta == pytest.approx(entry.get("mean_delta", delta), abs=1e-12)
            assert "cov" not in entry or moments.covariance() == close(np.array(entry["cov"]))


def test_a_new_baseline_starts_again_as_in_the_reference() -> None:
    expected = WELFORD["outputs"]["after_seed_change"]
    moments = Moments.start(2, "h1")
    for x in tier_series(62):
        moments.update(x, "h1")
    moments.update(np.ones(2), "h2")
    assert (moments.count, moments.tier) == (expected["n_samples"], Tier.NONE)
    assert moments.mean.tolist() == expected["welford_state"]["mean"]
    assert moments.m2.tolist() == expected["welford_state"]["m2"]


def test_another_dimension_is_refused_as_in_the_reference() -> None:
    assert WELFORD["outputs"]["dim_mismatch"].startswith("THROWS")
    with pytest.raises(ValueError, match="a vector"):
        Moments.start(2).update(np.ones(1))


@pytest.mark.parametrize(("name", "levels"), [("e1", 4), ("ties", 3)])
def test_e_bh_selects_what_the_reference_selects(name: str, levels: int) -> None:
    for q, expected in list(zip(E_BH["inputs"]["q"], E_BH["outputs"][name], strict=True))[:levels]:
        chosen = e_bh(values(E_BH["inputs"][name]), q)
        assert chosen.tolist() == expected["selected"]
        assert len(chosen) == expected["K"]


def test_e_bh_includes_exact_equality_as_the_reference_does() -> None:
    out = E_BH["outputs"]
    chosen = e_bh(values(E_BH["inputs"]["exact_boundary"]), 0.0625)
    assert chosen.tolist() == out["exact_boundary_q00625"]["selected"]
    chosen = e_bh(values(E_BH["inferred"]["exact_boundary_q005"]), 0.05)
    assert chosen.tolist() == out["exact_boundary_q005"]["selected"]


def test_two_recorded_outputs_contradict_their_inputs() -> None:
    # See `inferred` beside them: the definition decides, not the recording.
    assert len(e_bh(values(E_BH["inputs"]["ties"]), 1.0)) == 10 != E_BH["outputs"]["ties"][3]["K"]
    assert len(e_bh(values(E_BH["inputs"]["exact_boundary"]), 0.05)) == 0


def test_e_bh_in_logarithms_agrees_with_the_linear_one_where_the_reference_does_not() -> None:
    # Its log variant loses node 5, which stands at 25 = 10/(.1·4) exactly.
    assert E_BH["outputs"]["log_e1_q01"]["selected"] == [0, 3, 7]
    assert e_bh(values(E_BH["inputs"]["e1"]), 0.1).tolist() == [0, 3, 5, 7]


def test_evidence_that_overflows_a_float_is_selected() -> None:
    log_e = np.array([800.0, 2000.0, *[0.0] * 8])
    chosen = e_bh(EValues(log_e, np.zeros(10, dtype=np.int8)), 0.05)
    assert chosen.tolist() == E_BH["outputs"]["log_huge"]["selected"]


@pytest.mark.parametrize("name", ["nan_case", "inf_case"])
def test_what_the_reference_selects_by_accident_never_reaches_selection(name: str) -> None:
    e = np.array([float(x) for x in E_BH["inputs"][name]])
    with pytest.raises(ValueError, match="evidence is finite"):
        values(e)


@pytest.mark.parametrize(("e", "q", "name"), [([], 0.1, "empty"), ([1.0], np.nan, "bad_q")])
def test_e_bh_refuses_what_the_reference_refuses(e: list[float], q: float, name: str) -> None:
    assert E_BH["outputs"][name].startswith("THROWS")
    with pytest.raises(ValueError, match=r"empty family|q must be"):
        e_bh(values(e), q)


def test_product_and_mean_follow_the_reference() -> None:
    log_e, out = np.array(MERGE["inputs"]["log_e"]), MERGE["outputs"]
    assert float(log_product(log_e)) == close(out["product"]["log_fleet_e"])
    assert float(log_mean(log_e)) == close(out["average"]["log_fleet_e"])


def test_the_mean_is_never_nan_where_the_references_is() -> None:
    assert MERGE["outputs"]["average_all_neginf"]["log_fleet_e"] == "NaN"
    assert float(log_mean(np.full(3, -np.inf))) == -np.inf
    assert MERGE["outputs"]["average_with_inf"]["log_fleet_e"] == "NaN"
    with pytest.raises(ValueError, match="evidence is finite"):
        log_mean(np.array([0.0, np.inf]))
    assert MERGE["outputs"]["empty"].startswith("THROWS")
    with pytest.raises(ValueError, match="no parts"):
        log_mean(np.empty(0))


def test_the_running_maximum_follows_the_reference() -> None:
    maximum = RunningMaximum.start(1)
    for log_e, expected in zip(
        MERGE["inputs"]["fleet_inputs"], MERGE["outputs"]["fleet_trace"], strict=True
    ):
        maximum.update(np.array([log_e]), log_threshold=float(np.log(1000.0)))
        assert maximum.log_max[0] == expected["log_fleet_e_max"]
        assert maximum.steps[0] == expected["n"]
        assert (maximum.first[0] >= 0) == expected["fired"]
        assert (maximum.first[0] if expected["fired"] else None) == expected["tick_at_first_fire"]


def test_the_mean_of_states_follows_the_reference() -> None:
    m = np.array([state["M"] for state in MERGE["inputs"]["states"]])
    expected = MERGE["outputs"]["fleetMergeFamilyA"]
    assert float(log_mean(np.log(np.maximum(m, 1e-12)))) == close(expected)


def test_the_group_mean_follows_the_reference() -> None:
    out, members = MERGE["outputs"], MERGE["inferred"]["group_avg"]
    assert np.exp(group_mean_e(np.log(members))) == close(out["group_avg"])
    assert np.exp(group_mean_e(np.full(3, -np.inf))) == out["group_avg_zero"]
    assert out["group_avg_nan"].startswith("THROWS")
    with pytest.raises(ValueError, match="evidence is finite"):
        group_mean_e(np.array([0.0, np.nan]))


def test_the_binomial_tail_follows_the_reference() -> None:
    for (k, n, p), expected in zip(
        MERGE["inferred"]["binom"], MERGE["outputs"]["binom"], strict=True
    ):
        assert binomial_upper_tail(k, n, p) == close(expected)
