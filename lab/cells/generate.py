"""Draw fleets that do everything that breaks other detectors, block by block, from one seed.

Apart from measuring, because every cell, the comparison with other detectors and the tests draw
from one model: own noise AR(1) at ticks and exact in its block means, under a harsh common mode.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

UNIFORM_PHI = (0.7, 0.97)
MINORITY_SHARE, MINORITY_PHI, MAJORITY_PHI = 0.1, 0.99, 0.9
TAILS = 3.0  # degrees of freedom of "t3"
WALK, STEP, SHOCK, WAVE = 0.15, 5.0, 10.0, 2.0  # sizes of the common mode, in own sd of a tick
STEPS, SHOCKS, PERIOD = 8, 15, 500  # in a thousand blocks each; blocks of one wave


@dataclass(frozen=True, slots=True)
class Cell:
    """What the own noise of a fleet is like, in units of the marginal sd of one tick.

    ``phi`` of ticks in [0, 1): one for all, "uniform" in [.7, .97] over the shards, "minority"
    (.9, and every tenth shard at .99), or "both". ``block`` ticks in a block. ``offset`` sd of
    the shards' constant offsets, ``scale`` sd of the log of their own sd, ``loading`` half-width
    of their loadings about 1, ``missing`` share of the blocks, ``drift`` sd a block of each
    shard's own random walk, ``common`` size of the common mode, 1 = as in statistics.md D.
    """

    name: str
    phi: float | Literal["uniform", "minority", "both"] = 0.0
    block: int = 1
    innovations: Literal["normal", "t3"] = "normal"
    offset: float = 0.0
    scale: float = 0.0
    loading: float = 0.0
    missing: float = 0.0
    drift: float = 0.0
    common: float = 1.0


def blocks(cell: Cell, rng: np.random.Generator, fleets: int, peers: int, count: int) -> Floats:
    """Return ``count`` block values (count, peers, fleets) of healthy fleets, NaN = missing.

    The fleets are independent of one another; the peers of one share its common mode.
    """
    return Fleets(cell, rng, fleets, peers).blocks(count)


class Fleets:
    """Healthy fleets of one cell that go on for as long as they are asked.

    ``unit`` (peers, fleets) is each shard's own marginal sd of a tick: what a fault is measured in.
    """

    def __init__(self, cell: Cell, rng: np.random.Generator, fleets: int, peers: int) -> None:
        """Lay out ``fleets`` >= 1 fleets of ``peers`` >= 1 shards, in their stationary state."""
        shape = (peers, fleets)
        self.cell = cell
        self.unit: Floats = np.exp(cell.scale * rng.standard_normal(shape))
        self._rng = rng
        self._offset = cell.offset * rng.standard_normal(shape)
        self._loading = 1.0 + cell.loading * rng.uniform(-1.0, 1.0, shape)
        self._phi = _phi_of(cell, rng, shape)
        self._means = BlockMeans.of(self._phi, cell.block)
        self._state = rng.standard_normal(shape)
        self._walked = np.zeros(shape)
        self._common = _CommonMode(rng, fleets)

    def blocks(self, count: int) -> Floats:
        """Return the next ``count`` blocks (count, peers, fleets), NaN = missing."""
        cell, rng = self.cell, self._rng
        own = self._own(count)
        if cell.drift:
            walk = self._walked + np.cumsum(cell.drift * rng.standard_normal(own.shape), axis=0)
            self._walked = walk[-1]
            own += walk
        values = own * self.unit + self._offset
        values += cell.common * self._common.blocks(count)[:, None, :] * self._loading
        if cell.missing:
            values[rng.random(values.shape) < cell.missing] = np.nan
        return values

    def _own(self, count: int) -> Floats:
        draw = self._heavy_block if self.cell.innovations == "t3" else self._normal_block
        own = np.empty((count, *self._state.shape))
        for b in range(count):
            own[b] = draw()
        return own

    def _normal_block(self) -> Floats:
        """Return one block's means from the joint normal law of mean and last tick."""
        means, first = self._means, self._rng.standard_normal(self._state.shape)
        value = means.carry * self._state + means.sd * first
        if self._phi.any():
            second = self._rng.standard_normal(self._state.shape)
            self._state = means.decay * self._state + means.shared * first + means.alone * second
        return value

    def _heavy_block(self) -> Floats:
        """Return one block's means, tick by tick: sums of t3 have no closed law."""
        innovation_sd = np.sqrt(1.0 - self._phi**2) * np.sqrt((TAILS - 2.0) / TAILS)
        total = np.zeros(self._state.shape)
        for _ in range(self.cell.block):
            drawn = self._rng.standard_t(TAILS, self._state.shape)
            self._state = self._phi * self._state + innovation_sd * drawn
            total += self._state
        return total / self.cell.block


@dataclass(frozen=True, slots=True)
class BlockMeans:
    """The law of a block's mean and last tick given the tick before it, unit marginal variance.

    mean = carry·s + sd·a, last = decay·s + shared·a + alone·b, with a, b independent standard
    normal; all of the shape of ``phi``. Exact (statistics.md D).
    """

    carry: Floats
    decay: Floats
    sd: Floats
    shared: Floats
    alone: Floats

    @classmethod
    def of(cls, phi: Floats, length: int) -> "BlockMeans":
        """Return the law for blocks of ``length`` >= 1 ticks and any shape of ``phi`` in [0, 1)."""
        powers = phi[..., None] ** np.arange(length + 1)
        to_last = powers[..., length - 1 :: -1] if length > 1 else powers[..., :1]
        to_mean = np.cumsum(powers[..., :length], axis=-1)[..., ::-1] / length
        noise = 1.0 - phi**2
        of_mean = noise * (to_mean**2).sum(axis=-1)
        together = noise * (to_mean * to_last).sum(axis=-1)
        of_last = noise * (to_last**2).sum(axis=-1)
        sd = np.sqrt(of_mean)
        shared = together / sd
        return cls(
            carry=powers[..., 1:].sum(axis=-1) / length,
            decay=powers[..., length],
            sd=sd,
            shared=shared,
            alone=np.sqrt(np.maximum(of_last - shared**2, 0.0)),
        )


class _CommonMode:
    """What all shards of a fleet follow: a walk with steps, shocks and a wave."""

    def __init__(self, rng: np.random.Generator, fleets: int) -> None:
        self._rng = rng
        self._level = np.zeros(fleets)
        self._phase = rng.uniform(0.0, 2.0 * np.pi, fleets)
        self._next = 0

    def blocks(self, count: int) -> Floats:
        rng, shape = self._rng, (count, len(self._level))
        at = np.arange(self._next, self._next + count)[:, None]
        self._next += count
        stepped = rng.random(shape) < STEPS / 1000
        shocked = rng.random(shape) < SHOCKS / 1000
        moves = WALK * rng.standard_normal(shape) + STEP * stepped * rng.standard_normal(shape)
        level = self._level + np.cumsum(moves, axis=0)
        self._level = level[-1]
        shock = SHOCK * shocked * rng.standard_normal(shape)
        wave: Floats = WAVE * np.sin(2.0 * np.pi * at / PERIOD + self._phase)
        return level + shock + wave


def _phi_of(cell: Cell, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    if not isinstance(cell.phi, str):
        return np.full(shape, float(cell.phi))
    phi = np.full(shape, MAJORITY_PHI)
    if cell.phi in ("uniform", "both"):
        phi = rng.uniform(*UNIFORM_PHI, shape)
    if cell.phi in ("minority", "both"):
        phi[rng.permutation(shape[0])[: round(MINORITY_SHARE * shape[0])]] = MINORITY_PHI
    return phi
