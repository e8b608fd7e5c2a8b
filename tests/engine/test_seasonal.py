import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.seasonal import deseasonalised, season


def wave(n: int, period: int, noise: float, seed: int) -> Floats:
    t = np.arange(n)
    course = np.sin(2 * np.pi * t / period) + 0.5 * (t % period == 3)
    own = noise * np.random.default_rng(seed).normal(size=n)
    return np.asarray(7.0 + course + own)


@pytest.mark.parametrize("seed", range(20))
def test_null_noise_has_no_season_and_stays_as_it_is(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=240)
    found = season(x)
    assert found is None
    assert deseasonalised(x, found).tolist() == x.tolist()


@pytest.mark.parametrize("period", [10, 12, 24])
def test_power_a_period_under_noise_is_found_and_taken_out(period: int) -> None:
    x = wave(60 * period, period, 0.3, 1)
    found = season(x)
    assert found is not None
    assert found.period == period
    assert found.correlation > 0.5
    rest = deseasonalised(x, found)
    assert rest.std() == pytest.approx(0.3, rel=0.1)
    assert rest.mean() == pytest.approx(x.mean(), abs=1e-9)
    assert season(rest) is None


def test_a_period_that_does_not_fit_three_times_is_not_looked_for() -> None:
    assert season(wave(29, 10, 0.0, 2)) is None
    assert season(wave(36, 12, 0.0, 2)) is not None


def test_a_period_below_the_shortest_is_oscillation_and_no_season() -> None:
    assert season(wave(50, 25, 0.0, 3)) is None
    found = season(wave(60, 5, 0.0, 3), shortest=4)
    assert found is not None
    assert found.period == 5


def test_a_series_that_does_not_move_has_no_season() -> None:
    assert season(np.full(100, 2.0)) is None
    assert season(np.empty(0)) is None


def test_a_gap_is_refused() -> None:
    x = wave(60, 12, 0.0, 4)
    x[5] = np.nan
    with pytest.raises(ValueError, match="finite values"):
        season(x)
