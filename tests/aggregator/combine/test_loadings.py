import numpy as np
import numpy.typing as npt

from tessera.aggregator.combine.loadings import SETTLED_AFTER, Loadings

Float32s = npt.NDArray[np.float32]
SHARDS, BLOCKS = 16, 300
ONE = np.array([0])


def readings(seed: int, noise: float = 1.0) -> Float32s:
    """Blocks x shards: a common walk with a step of 30, loadings 1 ± 40 %, offsets, own noise."""
    rng = np.random.default_rng(seed)
    common = np.cumsum(rng.normal(size=(BLOCKS, 1)), axis=0)
    common[150:] -= 30.0
    loading, offset = rng.uniform(0.6, 1.4, SHARDS), rng.normal(0.0, 20.0, SHARDS)
    own = noise * rng.normal(size=(BLOCKS, SHARDS))
    return (common * loading + offset + own).astype(np.float32)


def play(x: Float32s, offset: Float32s | None = None, like: str = "a" * SHARDS) -> Float32s:
    """Return the residuals of every block at one rung and one metric."""
    made, first = Loadings(list(like), 1), np.median(x[:50] - x[:50].mean(axis=1)[:, None], axis=0)
    known = np.tile(first, (len(x), 1)).astype(np.float32) if offset is None else offset
    found = [
        made.residuals(5, row[:, None], o[:, None], ONE) for row, o in zip(x, known, strict=True)
    ]
    return np.stack(found)[..., 0]


def test_null_residuals_lie_about_nought_wherever_the_common_level_goes() -> None:
    x = readings(1)
    late = play(x)[200:]
    assert np.abs(late.mean(axis=0)).max() < 0.7
    assert np.ptp((x - x[:50].mean(axis=0))[200:].mean(axis=0)) > 5.0


def test_power_what_one_half_does_not_share_stays_in_its_residual() -> None:
    x = readings(2)
    x[250:, :4] += 3.0
    late = play(x)[250:270].mean(axis=0)
    assert late[:4].mean() - late[4:].mean() > 2.0


def test_without_own_noise_nothing_is_left() -> None:
    assert np.nanmax(np.abs(play(readings(3, noise=0.0))[250:])) < 0.01


def test_the_first_blocks_are_no_residuals_and_those_of_a_new_offset_neither() -> None:
    x = readings(4)[: 3 * SETTLED_AFTER]
    offset = np.zeros_like(x)
    offset[2 * SETTLED_AFTER :, 3] = 1.0
    known = np.isfinite(play(x, offset))
    assert not known[:SETTLED_AFTER].any()
    assert known[SETTLED_AFTER : 2 * SETTLED_AFTER].all()
    assert not known[2 * SETTLED_AFTER :, 3].any()
    assert np.delete(known[2 * SETTLED_AFTER :], 3, axis=1).all()


def test_those_of_another_kind_do_not_count() -> None:
    x = readings(5)
    other = x.copy()
    other[:, 8:] *= -3.0
    like = "a" * 8 + "b" * 8
    np.testing.assert_array_equal(play(x, 0 * x, like)[:, :8], play(other, 0 * x, like)[:, :8])


def test_a_missing_value_or_offset_has_no_residual_and_teaches_nothing() -> None:
    x = readings(6)
    offset = np.zeros_like(x)
    offset[:10, 2] = np.nan
    x[100, 1] = np.nan
    missing = ~np.isfinite(play(x, offset))
    assert np.argwhere(missing[50:]).tolist() == [[50, 1]]
    assert missing[: SETTLED_AFTER + 10, 2].all()


def test_columns_that_are_not_asked_for_stay_empty_and_learn_nothing() -> None:
    made, x = Loadings(["a"] * 4, 2), np.ones((4, 2), dtype=np.float32)
    found = [made.residuals(5, x, 0 * x, ONE) for _ in range(SETTLED_AFTER + 1)][-1]
    assert np.isfinite(found).tolist() == [[True, False]] * 4
    assert np.isnan(made.residuals(5, x, 0 * x, np.array([1]))).all()
    assert np.isnan(made.residuals(5, x, 0 * x, np.empty(0, dtype=np.int64))).all()
