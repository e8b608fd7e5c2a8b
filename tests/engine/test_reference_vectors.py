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
from tessera.engine.autoregression import autocovariance, fit, levinson, whitened
from tessera.engine.calibration import lag_one
from tessera.engine.chi_square import quantile
from tessera.engine.evalue import EValues, Validity
from tessera.engine.merging import RunningMaximum, log_mean, log_product
from tessera.engine.moments import Moments, Tier
from tessera.engine.scatter import consistency, shrinkage
from tessera.engine.scatter import fit as fit_scatter
from tessera.engine.seasonal import deseasonalised, season
from tessera.engine.selection import e_bh
from tessera.engine.walk import Firing, Shared, groups, shared

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
WELFORD, E_BH, MERGE = (
    VECTORS[name] for name in ("14_welford_runtime", "16_e_bh", "17_hierarchical_combination")
)
SERIES, SCATTER, TOPOLOGY = (
    VECTORS[name] for name in ("13_ar_and_seasonal", "19_baselines", "22_topology_attribution")
)
NAMES = [node["id"] for node in TOPOLOGY["inputs"]["nodes"]]


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


def test_lags_coefficients_and_order_of_a_series_follow_the_reference() -> None:
    y, out = np.array(SERIES["inputs"]["y"]), SERIES["outputs"]
    assert y.mean() == close(SERIES["inputs"]["mean_y"])
    gamma = autocovariance(y, 5)
    assert gamma.tolist() == close(out["gamma"])
    pair = [np.array([v]) for v in (float(len(y)), gamma[1] * len(y), gamma[0] * len(y))]
    assert lag_one(*pair)[0] == close(out["phi1"])
    two, best = levinson(gamma[:3])[2], fit(y, 5)
    for model, expected in ((two, out["levinson2"]), (best, out["fit"])):
        assert model.coefficients.tolist() == close(expected["phi"])
        assert model.reflections.tolist() == close(expected["reflection_coefficients"])
        assert model.variance == close(expected["sigma2_innovation"])
    trace = [len(y) * np.log(m.variance) + 2 * m.order for m in levinson(gamma)[1:]]
    assert trace == close(out["fit"]["ic_trace"])
    white = whitened(y, SERIES["inputs"]["mean_y"], best)
    assert white[:8].tolist() == close(out["white_first8"])


def test_the_season_of_a_series_follows_the_reference() -> None:
    x, expected = np.array(SERIES["inputs"]["seasonal_series"]), SERIES["outputs"]["seasonal"]
    assert x.mean() == close(SERIES["inputs"]["mean_s"])
    found = season(x)
    assert found is not None
    assert found.period == expected["period"]
    assert found.correlation == close(expected["acf"])
    assert found.means.tolist() == close(expected["means"])
    assert deseasonalised(x, found)[:6].tolist() == close(expected["des_first6"])


def test_the_robust_scatter_is_the_references_but_for_its_approximate_chi_square() -> None:
    rows, expected = np.array(SCATTER["inputs"]["rows"]), SCATTER["outputs"]["mcd"]
    scatter = fit_scatter(rows)
    assert scatter.method == expected["method"]
    assert 1.0 - scatter.kept.mean() == close(expected["outlierFraction"])
    assert scatter.centre.tolist() == close(expected["mean"])
    ours, theirs = consistency(0.975, 2), SCATTER["outputs"]["cons"][1]
    assert (scatter.covariance * theirs / ours).ravel() == close(np.ravel(expected["cov"]))


def test_chi_square_factors_are_near_the_references_and_exact() -> None:
    out = SCATTER["outputs"]
    ours = [consistency(share, p) for share, p in SCATTER["inferred"]["cons"]]
    assert ours == pytest.approx(out["cons"], rel=0.012)
    assert ours[0] == pytest.approx(1.8590751173689644, rel=1e-12)
    assert [quantile(0.975, p) for p in (2, 11)] == pytest.approx(out["chi975"], rel=0.006)


def test_shrinkage_follows_the_reference() -> None:
    rows, out = np.array(SCATTER["inputs"]["rows"]), SCATTER["outputs"]
    covariance, weight = shrinkage(rows[:8])
    assert covariance.ravel() == close(np.ravel(out["lw8"]["cov"]))
    assert weight == out["lw8"]["lambda"]
    scatter = fit_scatter(rows[:6])
    assert scatter.method == out["small"]["method"]
    assert scatter.centre.tolist() == close(out["small"]["mean"])
    assert scatter.covariance.ravel() == close(np.ravel(out["small"]["cov"]))
    assert shrinkage(rows[:6] - scatter.centre)[1] == close(out["small"]["lambda"])


def attributed(window: float | None, hops: int = 1) -> list[Shared]:
    """Return what the recorded firings share, PSUs before racks."""
    place = {name: i for i, name in enumerate(NAMES)}
    parents: list[list[int]] = [[] for _ in NAMES]
    for edge in TOPOLOGY["inputs"]["edges"]:
        parents[place[edge["to"]]].append(place[edge["from"]])
    fired = [
        Firing(place.get(f["shard_node_id"], -1), f["event_ts"])
        for f in TOPOLOGY["inputs"]["fired"]
    ]
    return sorted(
        shared(groups(parents, range(4), hops), fired, window=window), key=lambda s: NAMES[s.node]
    )


@pytest.mark.parametrize(("name", "window"), [("plain", None), ("calibrated", 3600.0)])
@pytest.mark.parametrize("hops", [1, 3])
def test_what_fired_shards_share_follows_the_reference(
    name: str, window: float | None, hops: int
) -> None:
    for found, expected in zip(attributed(window, hops), TOPOLOGY["outputs"][name], strict=True):
        assert NAMES[found.node] == expected["shared_node_id"]
        assert [NAMES[v] for v in found.members] == expected["member_shard_ids"]
        assert len(found.members) == expected["member_count"]
        assert found.hops == expected["topology_distance"]
        assert (found.first, found.last) == (
            expected["earliest_event_ts"],
            expected["latest_event_ts"],
        )


def test_how_odd_that_is_follows_the_reference() -> None:
    log_e = np.log([TOPOLOGY["inferred"]["e"][name] for name in NAMES[:4]])
    for found, expected in zip(attributed(3600.0), TOPOLOGY["outputs"]["calibrated"], strict=True):
        assert len(found.group) == expected["group_size"]
        assert found.chance(TOPOLOGY["inferred"]["healthy_rate"]) == close(expected["binom_tail"])
        assert np.exp(found.log_e(log_e)) == close(expected["group_e_value"])
