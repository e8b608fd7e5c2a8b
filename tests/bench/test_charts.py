"""The charts against cases worked out by hand, each silent on noise and loud on a shift."""

import numpy as np
import numpy.typing as npt
import pytest
from rivals.charts import Chart, Cusum, Ewma, Given, Sigma, Similarity, first_alarm, standardised

Floats = npt.NDArray[np.float64]

LEARNED = np.array([[1.0], [-1.0]]) / np.sqrt(2.0)  # of mean 0 and standard deviation 1
CALM: dict[
    str, tuple[Chart, float]
] = {  # a bar that white noise does not reach in 200 blocks, and 2 sd do
    "cusum": (Cusum(), 12.0),
    "ewma": (Ewma(), 4.6),
    "similarity": (Similarity(), 2.5),
    "sigma": (Sigma(), 4.2),
}


def path(chart: Chart, *values: float) -> list[float]:
    watched = np.array(values)[:, None]
    found: list[float] = chart.path(LEARNED, watched)[:, 0].tolist()
    return found


def noise(seed: int, blocks: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    z = np.random.default_rng(seed).standard_normal((500 + blocks, 50))
    return z[:500], z[500:] + shift


def test_cusum_adds_what_exceeds_its_slack_and_never_falls_below_zero() -> None:
    assert path(Cusum(0.5), 1.5, 0.0, 0.2, 3.0) == pytest.approx([1.0, 0.5, 0.2, 2.7])


def test_cusum_watches_both_sides() -> None:
    assert path(Cusum(0.5), -1.5, -1.5) == pytest.approx([1.0, 2.0])


def test_what_is_standard_already_is_not_made_so_again() -> None:
    learned, watched = np.array([[9.0], [11.0]]), np.array([[1.5]])
    assert Cusum(0.5, own_unit=False).path(learned, watched)[0, 0] == pytest.approx(1.0)
    assert Ewma(1.0, own_unit=False).path(learned, watched)[0, 0] == pytest.approx(1.5)


def test_ewma_is_a_weighted_mean_in_its_own_standard_deviations() -> None:
    sd = np.sqrt(0.5 / 1.5)
    assert path(Ewma(0.5), 2.0, -4.0) == pytest.approx([1.0 / sd, 1.5 / sd])


def test_sigma_is_the_distance_from_the_learned_mean_in_learned_standard_deviations() -> None:
    learned = np.array([[9.0], [11.0]])
    assert Sigma().path(learned, np.array([[13.0]]))[0, 0] == pytest.approx(3.0 / np.sqrt(2.0))


def test_similarity_is_the_weakest_of_consecutive_windows_on_one_side() -> None:
    root = np.sqrt(2.0)
    assert path(Similarity(2, 2), 1.0, 3.0, 2.0, 0.0) == pytest.approx([0.0, 0.0, 0.0, root])


def test_similarity_forgets_a_window_on_the_other_side() -> None:
    assert path(Similarity(1, 2), 5.0, -5.0, -4.0) == pytest.approx([0.0, 0.0, 4.0])


@pytest.mark.parametrize("chart", [Cusum(), Ewma(), Sigma()])
def test_a_missing_block_is_skipped(chart: Chart) -> None:
    assert path(chart, 2.0, np.nan, 1.0)[-1] == pytest.approx(path(chart, 2.0, 1.0)[-1])


def test_a_window_without_a_block_is_no_evidence() -> None:
    assert path(Similarity(1, 2), 5.0, np.nan, 5.0) == [0.0, 0.0, 0.0]


def test_what_is_given_is_shown_as_it_is() -> None:
    assert path(Given(), 0.5, 2.0) == [0.5, 2.0]


def test_a_stream_is_measured_by_its_own_baseline() -> None:
    learned = np.array([[0.0, 10.0], [2.0, 14.0]])
    assert standardised(learned, np.array([[1.0, 12.0]])).tolist() == [[0.0, 0.0]]


def test_the_first_alarm_is_the_first_block_at_the_bar_counted_from_one() -> None:
    found = first_alarm(np.array([[0.0, 3.0], [2.0, 0.0], [3.0, 0.0]]), 2.0)
    assert found.tolist() == [2.0, 1.0]
    assert first_alarm(np.zeros((3, 1)), 2.0).tolist() == [np.inf]


@pytest.mark.parametrize("name", CALM)
def test_noise_alone_does_not_reach_a_high_bar(name: str) -> None:
    chart, bar = CALM[name]
    alarm = first_alarm(chart.path(*noise(1, 200)), bar)
    assert np.isfinite(alarm).mean() <= 0.02


@pytest.mark.parametrize("name", CALM)
def test_a_shift_reaches_the_same_bar(name: str) -> None:
    chart, bar = CALM[name]
    alarm = first_alarm(chart.path(*noise(2, 200, shift=2.0)), bar)
    assert np.isfinite(alarm).mean() >= 0.6
