"""What each stream of a table is compared with in one block: a median of its peers.

Apart from the streams, which only take it: whether a row itself is in what its group was told
decides which median it is, and on that hangs that no evidence is made of the row's own value.
Null: a row's own value does not move what it is compared with.  Power: its peers' do.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, refuse_infinite
from .change import OFFSET_BLOCKS, ChangeChannel
from .outcome import Summary
from .peers import bad_side_median, leave_one_out_median, plain_median

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BlockPeers:
    """One block's values and summaries, flat over (S, M); ``included`` (S,) by row."""

    x: Float32s
    included: Bools
    count_raw: Ints
    s3_raw: Float32s
    count_demeaned: Ints
    s3_demeaned: Float32s
    total: Float32s

    @classmethod
    def of(cls, x: Float32s, summary: Summary) -> "BlockPeers":
        """Return them of a block's ``x`` (S, M) and its ``summary``."""
        total = np.full(x.shape, np.nan, np.float32) if summary.total is None else summary.total
        return cls(
            x.ravel(),
            summary.included,
            summary.count_raw.ravel(),
            summary.s3_raw.reshape(-1, 3),
            summary.count_demeaned.ravel(),
            summary.s3_demeaned.reshape(-1, 3),
            total.ravel(),
        )

    def __post_init__(self) -> None:
        """Refuse an infinity before any stream has taken its part of the block."""
        for part in fields(self):
            values = getattr(self, part.name)
            if values.dtype.kind == "f":
                refuse_infinite(part.name, values)


def reference(channel: ChangeChannel, at: Ints, row: Ints, peers: BlockPeers) -> Floats:
    """Return the peers' median (n,) that each stream is compared with, NaN = none.

    ``at`` (n,) are the streams' flat places and ``row`` (n,) their rows. While a stream learns its
    offset and its group has no demeaned summary, the raw median stands in: the whole group's, so
    that all offsets are distances to one and the same value (B1.4). For the same reason one that
    learns its offset again is not left out while it does.
    """
    included = peers.included[row]
    own = channel.demeaned(peers.x[at])
    count, s3 = peers.count_demeaned[at], peers.s3_demeaned[at]
    if not channel.learning:
        return _median_of_peers(own, count, s3, included)
    first = ~channel.settled & (channel.observed < OFFSET_BLOCKS)
    median = _median_of_peers(own, count, s3, included & ~first)
    first &= ~np.isfinite(median)
    return np.where(first, plain_median(peers.count_raw[at], peers.s3_raw[at]), median)


def contrast(direction: Ints, at: Ints, row: Ints, peers: BlockPeers) -> Floats:
    """Return the distance (n,) to the bad-side median of the others, positive = bad.

    ``direction`` (n,) in {-1, +1}; NaN where the row is not in what its group was told.
    """
    own = np.where(peers.included[row], peers.x[at], np.float32(np.nan))
    others = bad_side_median(own, peers.count_raw[at], peers.s3_raw[at], direction)
    distance: Floats = direction * (own - others)
    return distance


def _median_of_peers(own: Float32s, count: Ints, s3: Float32s, included: Bools) -> Floats:
    """Return the leave-one-out median of included rows, the plain median of the others."""
    inside = included & np.isfinite(own)
    left_out = leave_one_out_median(own, count, s3)
    return left_out if inside.all() else np.where(inside, left_out, plain_median(count, s3))
