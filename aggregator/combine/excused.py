"""Count as present who is missing from a block by decree: frozen, or told to learn anew.

Apart from counting members, because a loss lowers a group's class for the rest of its epoch, and
a freeze is none.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..state.fleet import Fleet
from .gather import Gathered
from .peers import Summaries

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def excused(
    found: Summaries, fleet: Fleet, held: Gathered, frozen_nodes: Bools, born: Ints
) -> Summaries:
    """Return ``found`` with the members counted that have no value, or no offset, by decree.

    ``frozen_nodes`` (I,); ``born`` (R,) above 0 was told to learn anew. Groups of which nobody has
    a value in this block stay without.
    """
    shape = len(fleet.rows), held.x.shape[1]
    no_value = np.broadcast_to(np.concatenate([held.frozen, frozen_nodes])[:, None], shape)
    learns = no_value.copy()
    learns[: fleet.shard_count] |= (
        (born[: fleet.shard_count] > 0)[:, None] & np.isnan(held.offset) & np.isfinite(held.x)
    )
    if not learns.any():
        return found
    raw, demeaned = found.count_raw, found.count_demeaned
    there = raw > 0
    return replace(
        found,
        count_raw=raw + np.where(there, _by_group(fleet, no_value), 0),
        count_demeaned=demeaned + np.where(there, _by_group(fleet, learns), 0),
    )


def _by_group(fleet: Fleet, rows: Bools) -> Ints:
    """Return how many ``rows`` (R, M) of each group are true, (G, M)."""
    out = np.zeros((len(fleet.groups), rows.shape[1]), dtype=np.int64)
    np.add.at(out, fleet.group, rows)
    return out
