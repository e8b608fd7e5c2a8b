"""Joint streams beside those that they take their residuals from, as a table plays them."""

import numpy as np

from tessera.engine.arrays import Floats, Ints
from tessera.engine.calibration import lag_one, pooled_phi
from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.joint_rows import JointRows, Together
from tessera.engine.outcome import Outcome, Summary
from tessera.engine.peers import central
from tessera.engine.ranks import stream_key
from tessera.engine.streams import Float32s, Streams

ROWS, COLUMNS, JOINT, HORIZON = 40, 3, 2, 2000
BETS_FROM, CROSSING = 2 * LEARNING_BLOCKS, np.log(100.0)


def streams(rows: int = ROWS, columns: tuple[int, ...] = (0, 1)) -> Streams:
    names = [[f"gpu-{i}/{j}" for j in range(COLUMNS)] for i in range(rows)]
    keys = np.array([[stream_key(name) for name in row] for row in names], dtype=np.uint64)
    together = Together(JOINT, np.array(columns, dtype=np.int64))
    return Streams(keys, np.zeros(COLUMNS, dtype=np.int64), HORIZON, together)


def fleet(seed: int, blocks: int, phi: float = 0.0) -> Floats:
    """Blocks x rows x columns: AR(1) noise, .95 alike in columns 0 and 1; none in the joint one."""
    rng = np.random.default_rng(seed)
    shared = np.sqrt(0.95) * rng.normal(size=(blocks, ROWS, 1))
    own = shared + np.sqrt(0.05) * rng.normal(size=(blocks, ROWS, 2))
    for b in range(1, blocks):
        own[b] = phi * own[b - 1] + np.sqrt(1.0 - phi**2) * own[b]
    common = np.cumsum(0.2 * rng.normal(size=(blocks, 1, 2)), axis=0)
    return np.concatenate([own + common, np.full((blocks, ROWS, 1), np.nan)], axis=2)


def epochs(number: int = 0) -> Ints:
    return np.full((ROWS, COLUMNS), number, dtype=np.int64)


def adopt(made: Streams, phi: float = 0.0, epoch: int = 0) -> Streams:
    of = np.array([phi, phi, 0.0])
    made.adopt_change(np.broadcast_to(of, made.shape), np.ones(made.shape), epochs(epoch))
    return made


def summary(x: Floats, offset: Float32s) -> Summary:
    raw, demeaned = central(x), central(x - offset.astype(np.float64))
    rows = np.zeros(len(x), dtype=np.int64)
    return Summary(
        raw.count[None][rows],
        raw.s3[None][rows].astype(np.float32),
        demeaned.count[None][rows],
        demeaned.s3[None][rows].astype(np.float32),
        np.ones(len(x), dtype=np.bool_),
    )


def play(made: Streams, x: Floats, first: int = 0) -> list[Outcome]:
    needed, out = np.full(len(x[0]), 3, dtype=np.int64), []
    for b, row in enumerate(x.astype(np.float32)):
        told = summary(row.astype(np.float64), made.offset)
        out.append(made.step(first + b, row, told, needed, needed))
    return out


def found(out: list[Outcome], row: int, column: int) -> int:
    """Return the first of the blocks in which ``row`` has crossed, or how many there were."""
    crossed = [o.change[row, column] >= CROSSING for o in out]
    return crossed.index(True) if any(crossed) else len(crossed)


def test_null_a_fleet_with_memory_stays_quiet() -> None:
    x = fleet(61, 900, phi=0.6)
    probe = streams()
    probe.adopt_change(np.full(probe.shape, np.nan), np.ones(probe.shape), epochs())
    lags = play(probe, x[:LEARNING_BLOCKS])[-1].lags
    assert lags is not None
    phi = pooled_phi(lag_one(*lags[:, 0].T))
    out = play(adopt(streams(), phi), x)
    assert out[-1].learned.min() == LEARNING_BLOCKS
    assert max(o.change[:, JOINT].max() for o in out) < CROSSING


def test_power_metrics_that_part_are_found_jointly_before_either_says_so() -> None:
    x, onset, row = fleet(62, BETS_FROM + 260), BETS_FROM + 200, 7
    x[onset:, row, :2] += np.array([1.5, -1.5])
    out = play(adopt(streams()), x)
    jointly = found(out, row, JOINT)
    assert onset <= jointly < min(found(out, row, 0), found(out, row, 1))
    assert out[-1].change_onset[row, JOINT] in range(onset - 5, onset + 3)
    others = np.delete(out[-1].change[:, JOINT], row)
    assert others.max() < CROSSING


def test_rows_learn_jointly_once_their_columns_have_and_tell_their_baseline() -> None:
    out = play(adopt(streams()), fleet(63, BETS_FROM + 20))
    learned = [int(o.learned[0, JOINT]) for o in out]
    assert learned[LEARNING_BLOCKS - 1] == 0
    assert learned[BETS_FROM] == LEARNING_BLOCKS
    told = next(o for o in out if o.baseline is not None and np.isfinite(o.baseline[0, JOINT, 0]))
    assert told.baseline is not None
    assert np.isfinite(told.baseline[:, JOINT]).all()
    windows = [o for o in out if 10 in o.windows and np.isfinite(o.windows[10][0, JOINT])]
    assert windows[0].block > BETS_FROM
    assert windows[0].long_run is not None


def test_what_the_joint_column_itself_holds_is_not_looked_at() -> None:
    x = fleet(64, BETS_FROM + 40)
    filled = x.copy()
    filled[:, :, JOINT] = np.random.default_rng(65).normal(size=x.shape[:2])
    one, other = play(adopt(streams()), x)[-1], play(adopt(streams()), filled)[-1]
    np.testing.assert_array_equal(one.change, other.change)


def test_the_columns_are_judged_as_if_nothing_judged_them_jointly() -> None:
    x = fleet(66, BETS_FROM + 40)
    alone = streams()
    epoch = np.broadcast_to(np.array([0, 0, -1]), alone.shape)
    alone.adopt_change(np.zeros(alone.shape), np.ones(alone.shape), epoch)
    one, other = play(adopt(streams()), x)[-1], play(alone, x)[-1]
    np.testing.assert_array_equal(one.change[:, :2], other.change[:, :2])
    assert np.isnan(other.change[:, JOINT]).all()


def test_another_phi_makes_other_residuals_so_rows_learn_jointly_again() -> None:
    made, x = adopt(streams()), fleet(67, BETS_FROM + 20)
    play(made, x)
    adopt(made, phi=0.3, epoch=1)
    out = play(made, x[:1], first=len(x))[-1]
    assert (out.learned[:, JOINT] == 0).all()
    assert (out.change[:, JOINT] == 0.0).all()


def test_streams_of_the_same_columns_are_inherited_and_of_others_begin_anew() -> None:
    x = fleet(68, BETS_FROM + 20)
    everything = np.arange(ROWS * COLUMNS)
    goes_on, parted = streams(), streams(columns=(0, 2))
    for heir in (goes_on, parted):
        former = adopt(streams())
        play(former, x)
        heir.inherit(former, everything)
    same, other = (play(adopt(heir), x[:1], first=len(x))[-1] for heir in (goes_on, parted))
    assert (same.learned[:, JOINT] == LEARNING_BLOCKS).all()
    assert (other.learned[:, JOINT] == 0).all()


def test_only_some_rows_are_inherited() -> None:
    x, rows = fleet(69, BETS_FROM + 20), 10
    former, whole = adopt(streams()), adopt(streams())
    play(former, x)
    play(whole, x)
    place = np.full(ROWS * COLUMNS, -1, dtype=np.int64)
    place[-rows * COLUMNS :] = np.arange(rows * COLUMNS)
    heir = streams(rows)
    heir.inherit(former, place)
    assert heir._joint.batches[0].at.tolist() == [3 * i + JOINT for i in range(rows)]  # noqa: SLF001 - looked at
    held, before = heir._joint.batches[0].channel, whole._joint.batches[0].channel  # noqa: SLF001 - looked at
    np.testing.assert_array_equal(held.log_m(), before.log_m()[-rows:])


def test_without_a_joint_column_no_place_is_joint() -> None:
    made = JointRows(np.zeros((2, 2), dtype=np.uint64), Together.nothing(), HORIZON)
    assert made.open(np.arange(4)).tolist() == [0, 1, 2, 3]
    assert made.batches == []
