"""What is ranked beside the mean of a block: spread, oscillation and spike of its ticks.

Apart from the streams, which take any block value alike: these are made of raw ticks, where they
are read, and of nothing but the ticks of one block.
Null: the level of the ticks moves none.  Power: noise, a wave, a wild tick each move their own.
"""

from typing import Final

import numpy as np

from .arrays import Bools, Floats, Ints

FEWEST: Final = 10  # ticks of a spread or a spike
FEWEST_OF_A_WAVE: Final = 20
SHORTEST_PERIOD: Final = 3  # ticks
LONGEST_PERIOD: Final = 1 / 3  # of the block
RESOLUTION: Final = 2.0**-23  # of a value: what float32 can tell apart
SMALLEST: Final = 2.0**-126  # the least normal float32
BETWEEN: Final = 2  # frequencies looked at for each of Fourier's: a wave may lie between two
EDGE: Final = 0.001  # a share is held this far from 0 and 1 before the logit


def spread(ticks: Floats, least: Floats) -> Floats:
    """Return ln of the standard deviation (S, C) of ``ticks`` (T, S, C), NaN = missing.

    NaN under ``least`` (C,) ticks or under ten. A standard deviation is no smaller than float32
    resolves the level, so that ticks that have become constant have a value.
    """
    present = np.isfinite(ticks)
    count = present.sum(axis=0)
    mean = np.where(present, ticks, 0.0).sum(axis=0) / np.maximum(count, 1)
    apart = np.where(present, ticks - mean, 0.0)
    variance = (apart * apart).sum(axis=0) / np.maximum(count - 1, 1)
    found = np.log(np.maximum(np.sqrt(variance), _floor(mean)))
    return np.where(_enough(count, least, FEWEST), found, np.nan)


def spike(ticks: Floats, least: Floats, direction: Ints) -> Floats:
    """Return ln of the largest distance (S, C) of a tick to the block's median on the bad side.

    ``direction`` (C,) in {-1, 0, +1}, 0 = both sides; the rest as :func:`spread`.
    """
    present = np.isfinite(ticks)
    count = present.sum(axis=0)
    median = _median(ticks, count)
    apart = np.where(present, ticks - median, 0.0)
    high, low = apart.max(axis=0, initial=0.0), -apart.min(axis=0, initial=0.0)
    largest = np.where(direction > 0, high, np.where(direction < 0, low, np.maximum(high, low)))
    found = np.log(np.maximum(largest, _floor(median)))
    return np.where(_enough(count, least, FEWEST), found, np.nan)


def oscillation(ticks: Floats, least: Floats) -> Floats:
    """Return the logit of the largest share (S, C) that one frequency has of a block's variance.

    ``ticks`` (T, S, C) on a regular clock; their line of least squares is taken off, a missing one
    counts as 0 then. Looked at are periods from 3 ticks to a third of the block, also half-way
    between Fourier's frequencies; the share is of all that is left beside the line, so that a wave
    weighs alike wherever it lies. NaN under ``least`` (C,) or under 20 ticks; where all ticks keep
    to their line, every frequency has the same share.

    Source: after Fisher, "Tests of significance in harmonic analysis" (1929), the statistic g.
    """
    total, present = len(ticks), np.isfinite(ticks)
    count = present.sum(axis=0)
    lowest, highest = round(BETWEEN / LONGEST_PERIOD), BETWEEN * total // SHORTEST_PERIOD
    if highest <= lowest:
        return np.full(ticks.shape[1:], np.nan)
    rest, level = _detrended(ticks, present, count)
    wave = np.fft.rfft(rest, n=BETWEEN * total, axis=0)[lowest : highest + 1]
    whole = total * (rest * rest).sum(axis=0) / 2  # Parseval: of the frequencies above 0
    waves = np.sqrt(whole) / total > _floor(level)
    share = (np.abs(wave) ** 2).max(axis=0) / np.where(waves, whole, 1.0)
    held = np.clip(np.where(waves, share, 2 / total), EDGE, 1.0 - EDGE)
    found = np.log(held) - np.log1p(-held)
    return np.where(_enough(count, least, FEWEST_OF_A_WAVE), found, np.nan)


def _enough(count: Ints, least: Floats, fewest: int) -> Bools:
    enough: Bools = (count >= least) & (count >= fewest)
    return enough


def _floor(level: Floats) -> Floats:
    """Return the smallest distance that is told apart at ``level``."""
    return np.maximum(RESOLUTION * np.abs(level), SMALLEST)


def _median(ticks: Floats, count: Ints) -> Floats:
    """Return the median (S, C) of the ``count`` (S, C) ticks that are present, 0 of none."""
    ordered = np.sort(ticks, axis=0)  # NaN goes last
    low = np.take_along_axis(ordered, (np.maximum(count - 1, 0) // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(ticks) - 1)[None], axis=0)[0]
    return np.where(count > 0, (low + high) / 2.0, 0.0)


def _detrended(ticks: Floats, present: Bools, count: Ints) -> tuple[Floats, Floats]:
    """Return ``ticks`` less their line of least squares, missing ones 0, and their mean (S, C)."""
    n = np.maximum(count, 1)
    time = np.where(present, np.arange(len(ticks), dtype=np.float64)[:, None, None], 0.0)
    mean = np.where(present, ticks, 0.0).sum(axis=0) / n
    time = np.where(present, time - time.sum(axis=0) / n, 0.0)
    rest = np.where(present, ticks - mean, 0.0)
    square = (time * time).sum(axis=0)
    slope = (time * rest).sum(axis=0) / np.where(square > 0, square, 1.0)
    return np.where(present, rest - slope * time, 0.0), mean
