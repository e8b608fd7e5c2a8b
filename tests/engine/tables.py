"""A table of streams and the group that tells each row about the others, for tests of the whole."""

import numpy as np

from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.outcome import Outcome, Summary
from tessera.engine.peers import central
from tessera.engine.ranks import stream_key
from tessera.engine.streams import Float32s, Streams

HORIZON, NEEDED = 1000, 3
MARGIN = 0.05


def keys(rows: int, metrics: int) -> np.typing.NDArray[np.uint64]:
    """Return the keys (S, M) of the first ``rows`` of a fleet."""
    names = [[f"gpu-{i}/{j}" for j in range(metrics)] for i in range(rows)]
    return np.array([[stream_key(name) for name in row] for row in names], dtype=np.uint64)


def opened(rows: int = 8, metrics: int = 2, phi: float = 0.0) -> Streams:
    """Return a table open on both channels; high is bad in even columns, low in odd ones."""
    direction = 1 - 2 * (np.arange(metrics) % 2)
    return adopted(Streams(keys(rows, metrics), direction, HORIZON), phi)


def adopted(made: Streams, phi: float = 0.0, epoch: Ints | int = 0) -> Streams:
    """Let the plan open the streams of ``epoch`` >= 0, in one batch a channel."""
    epochs = np.broadcast_to(epoch, made.shape)
    made.adopt_change(np.full(made.shape, phi), np.ones(made.shape), epochs)
    made.adopt_level(np.full(made.shape, MARGIN), np.full(made.shape, 0.9), epochs)
    return made


def values(seed: int, blocks: int, rows: int = 8, metrics: int = 2, sd: float = 0.01) -> Floats:
    """Return blocks x rows x metrics: independent noise about a common, wandering level."""
    rng = np.random.default_rng(seed)
    common = np.cumsum(2.0 * sd * rng.normal(size=(blocks, 1, metrics)), axis=0)
    return np.asarray(common + sd * rng.normal(size=(blocks, rows, metrics)))


def told(x: Float32s, offset: Float32s, here: Bools | None = None) -> Summary:
    """Return what a group of all rows is told about itself; without ``here`` (S,), of all."""
    included = np.ones(len(x), dtype=np.bool_) if here is None else here
    seen = np.where(included[:, None] & np.isfinite(x), x, np.float32(np.nan))
    raw, demeaned = central(seen), central(seen - offset)
    every = np.zeros(len(x), dtype=np.int64)
    return Summary(
        raw.count[None][every],
        raw.s3[None][every].astype(np.float32),
        demeaned.count[None][every],
        demeaned.s3[None][every].astype(np.float32),
        included,
    )


def step(made: Streams, block: int, x: Floats) -> Outcome:
    """Take one block ``x`` (S, M), NaN = missing, into ``made``."""
    row = x.astype(np.float32)
    needed = np.full(len(row), NEEDED)
    return made.step(block, row, told(row, made.offset), needed, needed)


def play(made: Streams, x: Floats, first: int = 0) -> list[Outcome]:
    """Take the blocks ``x`` (blocks, S, M) from number ``first`` on."""
    return [step(made, first + b, row) for b, row in enumerate(x)]
