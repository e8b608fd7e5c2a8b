"""What a baseline gives to the streams of this host: each starts from it, or learns, and why.

Apart from the evidence, because whether a past still fits is decided once, when a stream is
opened, and afterwards nobody asks again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from ..engine.arrays import Floats, Ints
from ..engine.knowledge import Knowledge
from ..engine.memory import Memory
from ..engine.moments import Tier
from ..engine.ranks import Ranks
from ..engine.recursive import Recursive
from ..engine.streams import Streams
from ..proto.baseline_file import Array, Baseline, Stream
from ..proto.messages import Inventory, ShardRow
from .succession import Succession

Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Offered:
    """What is known of some streams of one rung: flat places (n,), their peer ``group`` (n,)."""

    at: Ints
    group: Texts
    known: Knowledge

    def only(self, rows: Ints) -> "Offered":
        """Return what is known of ``rows`` (r,)."""
        return Offered(self.at[rows], self.group[rows], self.known.only(rows))


@dataclass(frozen=True, slots=True)
class Asked:
    """Streams that a plan opens: flat places (n,) and the plan's φ, κ and peer group of each."""

    at: Ints
    phi: Floats
    kappa: Floats
    group: Texts


@dataclass(slots=True)
class Warm:
    """A baseline as far as it concerns one host of so many ``columns``.

    ``rungs`` is what it offers, ``absent`` by row why it has nothing for a shard, "" if it has.
    ``said`` are lines for a person, one for each time that streams of a rung were opened.
    """

    id: str
    columns: int
    rungs: dict[int, Offered]
    absent: tuple[str, ...]
    said: list[str]

    @classmethod
    def of(cls, baseline: Baseline, inventory: Inventory) -> Self:
        """Return what ``baseline`` offers to shards of ``inventory`` that are as they were."""
        row = {shard.id: i for i, shard in enumerate(inventory.shards)}
        column = {metric: j for j, metric in enumerate(inventory.metrics)}
        unlike: dict[str, str] = {}
        rungs: dict[int, list[tuple[int, int]]] = {}  # flat place here, and row in the file
        for i, stream in enumerate(baseline.streams):
            at = row.get(stream.shard)
            if at is None:
                continue
            unlike[stream.shard] = _unlike(stream, inventory.shards[at])
            if not unlike[stream.shard] and stream.metric in column:
                place = at * len(column) + column[stream.metric]
                rungs.setdefault(stream.rung, []).append((place, i))
        left_out = {shard: f"left out of it: {why}" for shard, why in baseline.left_out.items()}
        reasons = {**left_out, **unlike}
        return cls(
            id=baseline.id,
            columns=len(column),
            rungs={rung: _offered(baseline, pairs) for rung, pairs in rungs.items()},
            absent=tuple(reasons.get(s.id, "their shards are not in it") for s in inventory.shards),
            said=[],
        )

    def follow(self, move: Succession) -> None:
        """Let what is still offered stand where its streams do; new shards have nothing."""
        absent = ["their shards are not in it"] * move.shape[0]
        for was, now in enumerate(move.rows.tolist()):
            if now >= 0:
                absent[now] = self.absent[was]
        self.absent, self.columns, place = tuple(absent), move.shape[1], move.place
        for rung, offered in self.rungs.items():
            left = offered.only(np.flatnonzero(place[offered.at] >= 0))
            self.rungs[rung] = replace(left, at=place[left.at])

    def begin(self, rung: int, streams: Streams, asked: Asked) -> None:
        """Let those of the streams ``asked`` for that fit begin with what is known of them.

        The plan's φ and κ must be those of the baseline, to the last bit: an aggregator that did
        not start from it would wait for a baseline that these streams never tell.
        """
        nothing = f"it has no such stream of {rung} s"
        why = {at: self.absent[at // self.columns] or nothing for at in asked.at.tolist()}
        offered = self.rungs.pop(rung, None)
        if offered is not None:
            here = np.isin(offered.at, asked.at)
            if not here.all():
                self.rungs[rung] = offered.only(np.flatnonzero(~here))
            found = offered.only(np.flatnonzero(here))
            unfit = _unfit(found, asked)
            why.update(zip(found.at.tolist(), unfit, strict=True))
            fit = np.flatnonzero([not reason for reason in unfit])
            streams.begin_with(found.at[fit], found.known.only(fit))
        told = Counter(reason for reason in why.values() if reason)
        start = len(why) - sum(told.values())
        parts = [f"{rung} s: {start} of {len(why)} streams start from baseline {self.id}"]
        parts += [f"{count} learn: {reason}" for reason, count in told.items()]
        self.said.append("; ".join(parts))


def _unfit(found: Offered, asked: Asked) -> list[str]:
    """Return, for each stream that was ``found``, why it cannot go on from there, "" if it can."""
    order = np.argsort(asked.at)
    place = order[np.searchsorted(asked.at, found.at, sorter=order)]
    tier, reasons = found.known.usable(), []
    for i, at in enumerate(place.tolist()):
        phi, kappa = asked.phi[at], asked.kappa[at]
        if not tier[i]:
            reasons.append(f"fewer than {int(Tier.WARM_START)} blocks stand behind it")
        elif found.group[i] != asked.group[at]:
            reasons.append(f"its peers were {found.group[i]}, they are {asked.group[at]}")
        elif not (np.isfinite(phi) and np.isfinite(kappa)):
            reasons.append("the plan has no φ and κ yet: its aggregator did not start from it")
        elif phi != found.known.phi[i]:
            reasons.append("the plan's φ is another one")
        else:
            other = kappa != found.known.kappa[i]
            reasons.append("the plan's κ is another one" if other else "")
    return reasons


def _unlike(stream: Stream, shard: ShardRow) -> str:
    """Return how ``shard`` is another one than it was, "" if it is not."""
    was, now = (stream.sku, stream.job, stream.role), (shard.sku, shard.job, shard.role)
    for what, before, after in zip(("SKU", "job", "role"), was, now, strict=True):
        if before != after:
            return f"its {what} was {before!r}, it is {after!r}"
    return ""


def _offered(baseline: Baseline, pairs: Sequence[tuple[int, int]]) -> Offered:
    """Return what the file knows of ``pairs`` of a place here and a row there."""
    places, rows = np.array(pairs, dtype=np.int64).T
    streams = [baseline.streams[i] for i in rows.tolist()]
    whole = knowledge_of(baseline)
    return Offered(places, np.array([s.group for s in streams], dtype=np.str_), whole.only(rows))


def knowledge_of(baseline: Baseline) -> Knowledge:
    """Return all that ``baseline`` knows, row by row of its streams."""
    c = baseline.columns
    return Knowledge(
        offset=c["offset"].astype(np.float32),
        origin=c["origin"].astype(np.float64),
        scale=c["scale"].astype(np.float64),
        phi=np.array([s.phi for s in baseline.streams], dtype=np.float64),
        kappa=np.array([s.kappa for s in baseline.streams], dtype=np.float64),
        regression=Recursive(
            theta=c["theta"].astype(np.float64),
            p=c["p"].astype(np.float64),
            last_x=np.full(len(baseline.streams), np.nan),
            last_c=np.full(len(baseline.streams), np.nan),
            steps=c["steps"].astype(np.int64),
        ),
        ranks=Ranks.holding(c["knots"].astype(np.float32), c["counts"].astype(np.int64)),
        memory=Memory(
            ring=c["ring"].astype(np.float64),
            scores=c["scores"].astype(np.int64),
            total=c["window_total"].astype(np.float64),
            square=c["square"].astype(np.float64),
        ),
    )


def columns_of(known: Knowledge) -> dict[str, Array]:
    """Return the columns of a baseline's file of what is ``known``, a row for each stream."""
    return {
        "offset": known.offset,
        "origin": known.origin,
        "scale": known.scale,
        "theta": known.regression.theta,
        "p": known.regression.p,
        "steps": known.regression.steps,
        "knots": known.ranks.knots,
        "counts": known.ranks.counts.astype(np.uint32),
        "ring": known.memory.ring,
        "scores": known.memory.scores,
        "window_total": known.memory.total,
        "square": known.memory.square,
    }
