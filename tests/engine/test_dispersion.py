import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.dispersion import dispersion, surely_above


def errors(seed: int, blocks: int, rate: Floats) -> Floats:
    return np.random.default_rng(seed).poisson(rate, (blocks, len(rate))).astype(np.float64)


@pytest.mark.parametrize("scale", [0.02, 0.3, 5.0])
def test_null_members_that_err_at_unlike_rates_have_a_dispersion_of_one(scale: float) -> None:
    rate = scale * np.repeat([1.0, 2.0], 16)
    found = [dispersion(errors(seed, 400, rate))[0] for seed in range(60)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.02)
    above = [surely_above(errors(seed, 400, rate), 1.0) for seed in range(200)]
    assert np.mean(above) <= 0.01


def test_null_nor_does_a_group_whose_rate_wanders_together() -> None:
    together = np.exp(np.random.default_rng(1).normal(size=(400, 1)))
    x = np.random.default_rng(2).poisson(0.2 * together, (400, 32)).astype(np.float64)
    assert dispersion(x)[0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("times", [2.0, 3.0])
def test_power_errors_that_come_so_many_times_have_that_dispersion(times: float) -> None:
    x = times * errors(3, 2000, np.full(32, 0.05))
    value, _ = dispersion(x)
    assert value == pytest.approx(times, rel=0.15)
    assert surely_above(x, 1.5)
    assert not surely_above(x, times)


def test_blocks_with_one_error_say_nothing() -> None:
    x = errors(4, 300, np.full(8, 0.1))
    alone = np.zeros((50, 8))
    alone[:, 2] = 1.0
    assert dispersion(np.concatenate([x, alone])) == dispersion(x)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0, 3)),
        np.zeros((9, 3)),
        np.eye(3),
        np.array([[2.0, 0.0], [3.0, 0.0]]),
        np.array([[2.0, 1.0]]),
    ],
)
def test_too_few_errors_say_nothing(x: Floats) -> None:
    assert np.isnan(dispersion(x)).all()
    assert not surely_above(x, 0.0)
