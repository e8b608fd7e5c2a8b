"""Every null of the change channel that breaks other detectors, each with its power.

Apart from the tables of speed: here the question is whether anything false is ever believed.
Cells V1–V6, V8 of statistics.md C and the heterogeneous φ of G2, at both rungs.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ...engine.evalue import Validity
from .count import SHOWN, Tally, Target
from .generate import Cell, Fleets
from .grid import Planned
from .machine import Machine, Setting

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PEERS, HORIZON, LONG = 64, 500, 1000  # blocks of an epoch, all of them watched
FLEETS, CHUNK, POOL = 112, 16, 16  # fleets of a cell, those played at once, those of a large pool
SHIFT, BEFORE, WATCHED = 4.0, 50, 400  # own sd of a tick; blocks of the epoch before it; after it
HIGH, HIGHER = np.log(20.0), np.log(100.0)

AT_20 = "streams ever at M ≥ 20"
AT_100 = "streams ever at M ≥ 100"
FIRST_20 = "of the first epoch: ever at M ≥ 20"
FIRST_100 = "of the first epoch: ever at M ≥ 100"
STOPPED = "mean of M, stopped at 20"
BELIEVED = "streams at M ≥ 100 while at least empirical"
CONTROLLED = "streams at M ≥ 100 while construction"
DEMOTED = "streams of class none at the end"
FOUND = "shifted streams that reach M ≥ 100"
DELAY = "median blocks to M ≥ 100"

NULL = {
    AT_20: Target(0.05),
    AT_100: Target(0.01),
    FIRST_20: Target(0.05),
    FIRST_100: Target(0.01),
    BELIEVED: Target(0.01),
    STOPPED: Target(1.0, errors=3.0),
}
DRIFTING = {BELIEVED: Target(0.01), CONTROLLED: Target(0.01), AT_100: SHOWN, DEMOTED: SHOWN}
POWER = {FOUND: Target(0.9, at_most=False), DELAY: SHOWN}


@dataclass(slots=True)
class Peaks:
    """The highest ln M of every stream (peers, fleets), all at all and while it had a class."""

    every: Floats
    believed: Floats
    controlled: Floats
    stopped: Floats  # ln M where it first reached ln 20, else now

    @classmethod
    def start(cls, shape: tuple[int, int]) -> "Peaks":
        """Return M = 1 everywhere."""
        return cls(*np.zeros((4, *shape)))

    def update(self, machine: Machine, counted: Bools) -> None:
        """Take the evidence of now of the streams that are ``counted`` (peers, fleets)."""
        log_m, validity = machine.log_m(), machine.validity()
        np.copyto(self.stopped, log_m, where=counted & (self.every < HIGH))
        for peak, least in (
            (self.every, Validity.NONE),
            (self.believed, Validity.EMPIRICAL),
            (self.controlled, Validity.CONSTRUCTION),
        ):
            np.maximum(peak, log_m, out=peak, where=counted & (validity >= least))


def play_null(cell: Cell, setting: Setting, peers: int, fleets: int, seed: int) -> Tally:
    """Play healthy ``fleets`` through two epochs; the second lasts as long as its horizon."""
    drawn = Fleets(cell, np.random.default_rng(seed), fleets, peers)
    machine = Machine(fleets, peers, setting, seed % 2**63)
    first, second = Peaks.start(machine.shape), Peaks.start(machine.shape)
    left = setting.horizon
    while left:
        machine.step(drawn.blocks(1)[0])
        if not machine.betting:
            continue
        begun = _begun(machine)
        first.update(machine, ~begun)
        second.update(machine, begun & (machine.age() <= setting.horizon))
        left -= machine.settled
    return Tally(
        {
            AT_20: _above(second.every, HIGH),
            AT_100: _above(second.every, HIGHER),
            FIRST_20: _above(first.every, HIGH),
            FIRST_100: _above(first.every, HIGHER),
            BELIEVED: _above(np.maximum(first.believed, second.believed), HIGHER),
            CONTROLLED: _above(np.maximum(first.controlled, second.controlled), HIGHER),
            DEMOTED: _above(-machine.validity().astype(np.float64), 0.0),
        },
        means={STOPPED: np.exp(second.stopped).mean(axis=0)},
    )


def play_power(cell: Cell, setting: Setting, peers: int, fleets: int, seed: int) -> Tally:
    """Play the same with every shard in turn shifted by 4 of its own sd, all others healthy."""
    drawn = Fleets(cell, np.random.default_rng(seed), fleets, peers)
    machine = Machine(fleets, peers, setting, seed % 2**63)
    while not machine.settled:
        machine.step(drawn.blocks(1)[0])
    for _ in range(BEFORE):
        machine.step(drawn.blocks(1)[0])
    shift, delay = SHIFT * drawn.unit, np.full(machine.shape, np.inf)
    for after in range(1, WATCHED + 1):
        machine.step(drawn.blocks(1)[0], shift)
        delay[np.isinf(delay) & (machine.log_m() >= HIGHER)] = after
    return Tally({FOUND: _above(-delay, -WATCHED)}, {DELAY: delay.T})


def _begun(machine: Machine) -> Bools:
    """Return which streams (peers, fleets) are in their second epoch."""
    out = np.zeros(machine.shape[0] * machine.shape[1], dtype=np.bool_)
    for cell in machine.cells:
        out[cell.rows] = cell.recalibrated
    return out.reshape(machine.shape)


def _above(values: Floats, least: float) -> Floats:
    """Return (2, fleets): how many of ``values`` (peers, fleets) are at least so large, of all."""
    hits = (values >= least).sum(axis=0)
    return np.array([hits, np.full_like(hits, len(values))], dtype=np.float64)


CELLS = (
    Cell("iid"),
    Cell("AR .5", phi=0.5),
    Cell("AR .9", phi=0.9, block=5),
    Cell("AR .99", phi=0.99, block=60),
    Cell("t3, AR .9", phi=0.9, block=5, innovations="t3"),
    Cell("offsets 3 sd, scales e^.3N", offset=3.0, scale=0.3),
    Cell("loadings ±40 %", loading=0.4),
    Cell("10 % missing", missing=0.1),
    Cell("φ uniform [.7, .97]", phi="uniform", block=5),
    Cell("φ = .99 in 10 % of shards", phi="minority", block=5),
    Cell(
        "t3, AR .9, offsets, scales, loadings",
        phi=0.9,
        block=5,
        innovations="t3",
        offset=3.0,
        scale=0.3,
        loading=0.4,
    ),
    Cell(
        "all combined",
        phi="both",
        block=5,
        innovations="t3",
        offset=3.0,
        scale=0.3,
        loading=0.4,
        missing=0.1,
    ),
)
SLOW = {1: 5, 5: 30, 60: 300}  # the slow rung of each fast one, about 3 τ against τ/2
LOADED = Cell("loadings ±40 %", loading=0.4)
LOUD = Cell("loadings ±40 %, common mode × 2", loading=0.4, common=2.0)
WALK = Cell("own random walk .02 sd a block", drift=0.02)


def planned() -> list[Planned]:
    """Return the cells of this family."""
    found = []
    for cell in CELLS:
        slow = replace(cell, block=SLOW[cell.block])
        found += _both(cell, f"{cell.name}; fast, {cell.block} ticks", Setting(horizon=HORIZON))
        found += _both(
            slow, f"{cell.name}; slow, {slow.block} ticks", Setting(slow=True, horizon=HORIZON)
        )
    found += _both(LOADED, f"{LOADED.name}; K = 32", Setting(horizon=HORIZON), peers=32)
    found += _both(LOADED, f"{LOADED.name}; H = 1,000", Setting(horizon=LONG))
    found += _both(LOUD, LOUD.name, Setting(horizon=HORIZON))
    for pool in (1, POOL):
        setting = Setting(horizon=HORIZON, pool=pool)
        found += _both(WALK, f"{WALK.name}; pools of {PEERS * pool}", setting)
    return found


def _both(
    cell: Cell,
    name: str,
    setting: Setting,
    *,
    peers: int = PEERS,
) -> list[Planned]:
    """Return a null and its power, which of a drifting shard is that of one that lies still."""
    null = partial(play_null, cell, setting, peers)
    power = partial(play_power, replace(cell, drift=0.0), setting, peers)
    targets = DRIFTING if cell.drift else NULL
    return [
        Planned("change", name, "null", null, FLEETS, CHUNK, targets),
        Planned("change", name, "power", power, CHUNK, CHUNK, POWER),
    ]
