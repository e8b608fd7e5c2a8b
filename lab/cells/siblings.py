"""What one ill shard does to the few healthy ones beside it, and what a freeze may do to evidence.

Apart from the nulls, because here the harm would come from outside a stream: from a neighbour
(V10), or from a person who looks before freezing (V7 of statistics.md C).
"""

from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...engine.bets import normal_score_bets, side_weights
from ...engine.onset import OnsetMixture
from .count import Tally, Target
from .generate import Cell, Fleets
from .grid import Planned
from .machine import Machine, Setting

Floats = npt.NDArray[np.float64]

PEERS, SHIFT, BEFORE, WATCHED = 8, 3.0, 50, 900
PATHS, BLOCKS, FROZEN = 20_000, 500, 0.2  # of a freeze: paths, blocks, share that is frozen
HIGH, HIGHER = np.log(20.0), np.log(100.0)

SIBLINGS = "healthy siblings of the shifted shard ever at M ≥ 100"
SHIFTED = "shifted shards ever at M ≥ 100"
CROSSED = "paths ever at M ≥ 20"

Freeze = Literal["never", "by schedule", "after a look"]


def play_siblings(fleets: int, seed: int) -> Tally:
    """Shift the first of eight shards by 3 sd for good, and watch the other seven."""
    drawn = Fleets(Cell("iid"), np.random.default_rng(seed), fleets, PEERS)
    machine = Machine(fleets, PEERS, Setting(horizon=BEFORE + WATCHED), seed % 2**63)
    while not machine.settled:
        machine.step(drawn.blocks(1)[0])
    for _ in range(BEFORE):
        machine.step(drawn.blocks(1)[0])
    peak = np.zeros(machine.shape)
    for x in drawn.blocks(WATCHED):
        x[0] += SHIFT
        machine.step(x)
        np.maximum(peak, machine.log_m(), out=peak)
    high = peak >= HIGHER
    others, one = np.full(fleets, PEERS - 1.0), np.ones(fleets)
    return Tally(
        {
            SIBLINGS: np.array([high[1:].sum(axis=0), others]),
            SHIFTED: np.array([high[0].astype(np.float64), one]),
        }
    )


def play_freeze(how: Freeze, shift: float, paths: int, seed: int) -> Tally:
    """Bet with d = 0 on scores fair but for ``shift``, freezing never, beforehand, or after a look.

    The shift (sd) comes half-way. Who looks drops the very block that speaks against a fault.
    """
    random = np.random.default_rng(seed)
    weights = side_weights(np.ones(paths, dtype=np.int64))
    mixture = OnsetMixture.start(weights, np.full(paths, BLOCKS))
    peak, one = np.zeros(paths), np.ones(paths)
    for block in range(BLOCKS):
        coin = random.random(paths) < FROZEN
        z = random.standard_normal(paths) + (shift if block >= BLOCKS // 2 else 0.0)
        frozen = {"never": np.zeros_like(coin), "by schedule": coin, "after a look": z < 0}[how]
        mixture.step(normal_score_bets(np.where(frozen, np.nan, z), one, 0.0), block)
        np.maximum(peak, mixture.log_m(), out=peak)
    return Tally({CROSSED: np.array([(peak >= HIGH).astype(np.float64), one])})


def planned() -> list[Planned]:
    """Return the cells of both families."""
    few, shifted = "K = 8, one shard shifted by 3 sd", {SHIFTED: Target(0.9, at_most=False)}
    cells = [
        Planned("siblings", few, "null", play_siblings, 400, 200, {SIBLINGS: Target(0.01)}),
        Planned("siblings", few, "power", play_siblings, 400, 200, shifted),
    ]
    at_most, found = {CROSSED: Target(0.05)}, {CROSSED: Target(0.9, at_most=False)}
    hows: tuple[Freeze, ...] = ("never", "by schedule")
    for how in hows:
        null, power = partial(play_freeze, how, 0.0), partial(play_freeze, how, 1.0)
        cells.append(Planned("freeze", f"frozen {how}", "null", null, PATHS, PATHS, at_most))
        cells.append(Planned("freeze", f"frozen {how}", "power", power, PATHS, PATHS, found))
    look, broken = partial(play_freeze, "after a look", 0.0), {CROSSED: Target(0.5, at_most=False)}
    cells.append(Planned("freeze", "frozen after a look", "power", look, PATHS, PATHS, broken))
    return cells
