"""Printed lists of a fleet of 1,024 shards: how many of the named are healthy, how many are missed.

Apart from single streams, because "FDR ≤ q" is a sentence about lists, and must stand beside
nodes whose evidence is worth nothing (statistics.md C, V9, and G4).
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ...engine.evalue import EValues, Validity
from ...engine.selection import controlled, sup_fdr_adjust
from .count import SHOWN, Tally, Target
from .generate import Cell, Fleets
from .grid import Planned
from .machine import Machine, Setting

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PEERS, GROUPS, Q = 64, 16, 0.1
BEFORE, WATCHED, PRINTED_EACH = 50, 300, 5  # blocks
SHIFT = 2.0  # own sd
INVALID, GROWTH = 0.1, 0.5  # share of the nodes that are uncontrolled, and their nats a block
SHARES = (0.01, 0.03, 0.05)  # of the shards that are ill

PRINTED = "mean FDP of the printed lists"
LAST = "mean FDP of the last list"
EVER = "mean FDP of all that were ever listed"
NAMED = "ill shards on the last list"


@dataclass(frozen=True, slots=True)
class Nodes:
    """Which of the shards (n,) are ill, and which have evidence that nobody vouches for."""

    ill: Bools
    invalid: Bools

    @classmethod
    def draw(cls, random: np.random.Generator, share: float) -> "Nodes":
        """Return 1,024 shards of which a ``share`` is ill, and others are uncontrolled."""
        n = PEERS * GROUPS
        order = random.permutation(n)
        ill, invalid = np.zeros((2, n), dtype=np.bool_)
        ill[order[: round(share * n)]] = True
        invalid[order[len(order) - round(INVALID * n) :]] = True
        return cls(ill, invalid)

    def list_of(self, highest: Floats, blocks: int) -> Ints:
        """Return who is on the controlled list ``blocks`` after the onset."""
        log_e = np.where(self.invalid, GROWTH * blocks, highest)
        classes = np.where(self.invalid, Validity.EMPIRICAL, Validity.CONSTRUCTION)
        return controlled(EValues(sup_fdr_adjust(log_e), classes), Q).members

    def fdp(self, members: Ints) -> float:
        """Return the share of healthy ones among ``members``, 0 of an empty list."""
        return float((~self.ill[members]).mean()) if len(members) else 0.0


def play(cell: Cell, share: float, fleets: int, seed: int) -> Tally:
    """Play ``fleets`` of 1,024 shards, one after the other."""
    one_by_one = [_play_one(cell, share, seed + number) for number in range(fleets)]
    words = (PRINTED, LAST, EVER)
    means = {w: np.array([found[i] for found, _ in one_by_one]) for i, w in enumerate(words)}
    return Tally({NAMED: np.array([named for _, named in one_by_one]).T}, means=means)


def _play_one(cell: Cell, share: float, seed: int) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    drawn = Fleets(cell, random, GROUPS, PEERS)
    nodes = Nodes.draw(random, share)
    machine = Machine(GROUPS, PEERS, Setting(horizon=1000, pool=GROUPS), seed % 2**63)
    while not machine.settled:
        machine.step(drawn.blocks(1)[0])
    for _ in range(BEFORE):
        machine.step(drawn.blocks(1)[0])
    shift = SHIFT * drawn.unit * nodes.ill.reshape(machine.shape)
    highest, ever = np.zeros(len(nodes.ill)), np.zeros(len(nodes.ill), dtype=np.bool_)
    printed: list[float] = []
    members = np.zeros(0, dtype=np.int64)
    for block, x in enumerate(drawn.blocks(WATCHED), 1):
        machine.step(x + shift)
        np.maximum(highest, machine.log_m().ravel(), out=highest)
        if block % PRINTED_EACH == 0:
            members = nodes.list_of(highest, block)
            printed.append(nodes.fdp(members))
            ever[members] = True
    named = float(np.count_nonzero(nodes.ill[members]))
    found = [float(np.mean(printed)), printed[-1], nodes.fdp(np.flatnonzero(ever))]
    return found, [named, float(nodes.ill.sum())]


CELLS = (
    Cell("iid"),
    Cell("AR .9, t3, offsets, loadings", 0.9, 5, innovations="t3", offset=3.0, loading=0.4),
)


def planned() -> list[Planned]:
    """Return the cells of this family: the same runs tell what is false and what is missed."""
    false = {PRINTED: Target(Q), LAST: Target(Q), EVER: Target(Q)}
    found = []
    for cell in CELLS:
        for share in SHARES:
            name, run = f"{cell.name}; {100 * share:g} % ill", partial(play, cell, share)
            least = Target(0.6, at_most=False) if cell.phi == 0.0 else SHOWN
            found.append(Planned("lists", name, "null", run, 20, 5, false))
            found.append(Planned("lists", name, "power", run, 10, 5, {NAMED: least}))
    return found
