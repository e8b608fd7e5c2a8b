"""The streams that all detectors see: peer contrasts, our scores and our evidence, side by side.

Apart from the detectors, so that none can be shown other blocks than the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from tessera.engine.bets import LAMBDAS, normal_score_bets, side_weights
from tessera.engine.evalue import Validity
from tessera.engine.onset import OnsetMixture
from tessera.engine.peers import central, leave_one_out_median
from tessera.engine.reference import BlockPeers
from tessera.lab.cells.generate import Cell, Fleets
from tessera.lab.cells.machine import Machine, Setting

Floats = npt.NDArray[np.float64]

PEERS, LEARNED, HORIZON = 64, 1000, 1000  # blocks before the watch, and of it
ONSET = 100  # blocks of the watch before a shift
CONTRAST, SCORES = "contrast", "our scores"
OURS, OURS_BELIEVED = "ours, d = 0.1", "ours, d = 0.1, while believed"
OURS_EAGER, OURS_ALONE = "ours, d = 0", "ours without peers"


@dataclass(frozen=True, slots=True)
class Feed:
    """One input of detectors: (blocks, peers, fleets) learned from, and watched."""

    learned: Floats
    watched: Floats


class Overheard(OnsetMixture):
    """The machine's own mixture that also remembers the scores on which it was made to bet.

    A bet is λ(±s − d) − λ²/2, so that half the difference of the two bets at λ = 1 is s.
    """

    scores: Floats

    def step(self, log_bets: Floats, block: int, rows: slice = slice(None)) -> None:
        """Remember the scores of ``rows`` and bet."""
        up = LAMBDAS.index(1.0)
        self.scores[rows] = (log_bets[:, up] - log_bets[:, up + len(LAMBDAS)]) / 2.0
        super().step(log_bets, block, rows)


class Unaccompanied(Machine):
    """The same machine, told that all peers always stand at 0."""

    def _peers(self, sent: npt.NDArray[np.float32]) -> BlockPeers:
        told, n = super()._peers(sent), len(sent)
        nothing = np.zeros((n, 3), dtype=np.float32)
        many = np.full(n, PEERS, dtype=np.int64)
        return BlockPeers(told.x, told.included, many, nothing, many, nothing, told.total)


class Listening:
    """A machine, and the same evidence without its deadband, on the same scores."""

    def __init__(self, machine: Machine) -> None:
        """Overhear ``machine``, which has not begun."""
        n = machine.shape[0] * machine.shape[1]
        weights, horizon = side_weights(np.zeros(n, dtype=np.int64)), np.full(n, HORIZON)
        self.machine = machine
        self._heard = Overheard.start(weights, horizon)
        self._heard.scores = np.full(n, np.nan)
        machine.channel.mixture = self._heard
        self._eager = OnsetMixture.start(weights, horizon)
        self._one = np.ones(n)

    def begin(self) -> None:
        """Begin the watch: an epoch of its own for both, with what was learned.

        Raises ``ValueError`` if the machine has not learned enough by now.
        """
        if not self.machine.settled:
            message = f"the machine has not settled after {LEARNED} blocks: let it learn longer"
            raise ValueError(message)
        self.machine.begin(HORIZON, 0)
        self._eager.restart(np.arange(len(self._one)), np.full(len(self._one), HORIZON))

    def step(self, x: Floats, shift: Floats | None) -> tuple[Floats, Floats, Floats]:
        """Take a block (peers, fleets); return scores, ln M and ln M at d = 0, each like it."""
        self._heard.scores[:] = np.nan
        self.machine.step(x, shift)
        scores = self._heard.scores.copy()
        self._eager.step(normal_score_bets(scores, self._one, 0.0), self.machine.block)
        shape = self.machine.shape
        return scores.reshape(shape), self.machine.log_m(), self._eager.log_m().reshape(shape)


def play(cell: Cell, size: float, fleets: int, seed: int, *, alone: bool) -> Mapping[str, Feed]:
    """Return every feed of ``fleets`` healthy fleets, or each shard shifted as if it alone were.

    The shift by ``size`` own sd begins ``ONSET`` blocks into the watch. ``alone``: also run our
    machine without peers, which takes as long again.
    """
    drawn = Fleets(cell, np.random.default_rng(seed), fleets, PEERS)
    ours = Listening(Machine(fleets, PEERS, Setting(horizon=HORIZON), seed % 2**63))
    single = Unaccompanied(fleets, PEERS, Setting(horizon=HORIZON), seed % 2**63)
    shape = (LEARNED + HORIZON, PEERS, fleets)
    contrast, scores, eager, evidence, believed, lonely = np.full((6, *shape), np.nan)
    for block in range(LEARNED + HORIZON):
        x = drawn.blocks(1)[0]
        if block == LEARNED:
            ours.begin()
            single.begin(HORIZON, 0)
        shift = size * drawn.unit if size and block >= LEARNED + ONSET else None
        contrast[block] = _contrast(x, shift)
        scores[block], evidence[block], eager[block] = ours.step(x, shift)
        believed[block] = np.where(
            ours.machine.validity() >= Validity.EMPIRICAL, evidence[block], 0.0
        )
        if alone:
            single.step(x, shift)
            lonely[block] = single.log_m()
    named = {CONTRAST: contrast, SCORES: scores}
    named |= {OURS: evidence, OURS_BELIEVED: believed, OURS_EAGER: eager}
    if alone:
        named[OURS_ALONE] = lonely
    return {name: Feed(all_[:LEARNED], all_[LEARNED:]) for name, all_ in named.items()}


def _contrast(x: Floats, shift: Floats | None) -> Floats:
    """Return each value less the exact median of the others (peers, fleets)."""
    middle = central(x)
    others = leave_one_out_median(x, middle.count, middle.s3)
    found: Floats = (x if shift is None else x + shift) - others
    return found


def found_after(alarm: Floats) -> Floats:
    """Return delays since the shift; an alarm before it found nothing, and there is no second."""
    return np.where(alarm > ONSET, alarm - ONSET, inf)
