"""Make one view of the fleet: what every terminal is shown, encoded once for all of them.

Apart from the pipeline, because a view also says what it cannot know: who is silent, how old a
value is, and what is still waited for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan

import numpy as np
import numpy.typing as npt

from ...adapters.topology.model import Topology
from ...proto.messages import Freeze
from ...proto.pack import floored
from ...proto.schema import console
from ..decide.lives import Effect
from ..decide.transition import Transition
from ..state.fleet import NODES_HOST, Fleet
from ..state.standing import Standing
from .layout import layout


@dataclass(frozen=True, slots=True)
class HostNote:
    """One host: seconds since it was ``heard`` of, and whether it is silent."""

    name: str
    heard: float
    silent: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """An open verdict as it is shown: its last transition, and when it opened (Unix s)."""

    last: Transition
    opened: float


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown at one time, ``at`` Unix seconds; ``standing`` None until there is a fleet.

    ``effects`` of open verdicts by id, where there is one by now; ``gone`` are shards that their
    host does not report any more.
    """

    at: float
    standing: Standing | None
    open: Sequence[Shown] = ()
    effects: Mapping[str, Effect] = field(default_factory=dict)
    hosts: Sequence[HostNote] = ()
    gone: frozenset[str] = frozenset()
    plan: int = 0
    decided: float = 0.0
    waiting_hosts: int = 0
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A view as bytes; the layout's bytes may follow it, for a reader who has another version."""

    view: bytes
    layout: bytes
    layout_version: int

    def for_reader(self, layout_version: int) -> bytes:
        """Return the view for a reader who has that version of the layout, 0 = none."""
        known = layout_version == self.layout_version
        return self.view if known else self.view + self.layout


class Views:
    """Makes the views of one aggregator, numbered in order."""

    def __init__(self, cluster: str, clock: str, q: float) -> None:
        """Take the cluster's name, what the clock is ("live", "simulated"), and the level q."""
        self._cluster, self._clock, self._q = cluster, clock, q
        self._sequence = 0
        self._version = 0
        self._layout = b""
        self._fleet: Fleet | None = None

    def lay_out(self, fleet: Fleet, topology: Topology) -> None:
        """Take the rows of a fleet that was formed anew."""
        self._fleet = fleet
        self._version += 1
        rows = layout(fleet, topology, self._version)
        self._layout = console.View(layout=rows).SerializeToString()

    def make(self, moment: Moment) -> Encoded:
        """Return the view of ``moment``."""
        self._sequence += 1
        view = console.View(
            at_ns=nanoseconds(moment.at),
            sequence=self._sequence,
            cluster=self._cluster,
            clock=self._clock,
            layout_version=self._version,
            open=[verdict(shown, moment.effects.get(shown.last.id)) for shown in moment.open],
            q=self._q,
            plan=moment.plan,
            decided_ns=nanoseconds(moment.decided),
            waiting_hosts=moment.waiting_hosts,
            notice=moment.notice,
        )
        if self._fleet is not None and moment.standing is not None:
            _fill(view, self._fleet, moment.standing, moment)
        view.hosts.extend(_host(note, self._fleet) for note in moment.hosts)
        return Encoded(view.SerializeToString(), self._layout, self._version)


def verdict(shown: Shown, effect: Effect | None = None) -> console.Verdict:
    """Return a verdict as it travels to a terminal, with its ``effect`` by now or as last told."""
    last = shown.last
    found = effect or last.effect
    return console.Verdict(
        id=last.id,
        node=last.node,
        level=last.level,
        channel=last.channel,
        guarantee=last.guarantee,
        validity_class=last.validity_class,
        log_e=last.log_e,
        opened_ns=nanoseconds(shown.opened),
        since_ns=nanoseconds(last.since),
        metrics=last.metrics,
        reason=last.reason,
        state=last.state,
        correlational_not_causal=True,
        family=last.family,
        effect=None if found is None else _effect(found),
        state_since_ns=nanoseconds(last.turned or shown.opened),
    )


def _effect(found: Effect) -> console.Effect:
    return console.Effect(
        low=found.low,
        middle=found.middle,
        high=found.high,
        unit=found.unit,
        metric=found.metric,
        validity_class=found.validity_class,
    )


def _fill(view: console.View, fleet: Fleet, standing: Standing, moment: Moment) -> None:
    """Write the rows' bytes: evidence rounded down, silence over whatever was known before."""
    state = standing.state.astype(np.uint8, copy=True)
    shards = state[: fleet.shard_count]
    for note in moment.hosts:
        if note.silent and note.name in fleet.hosts:
            shards[fleet.hosts[note.name]] = console.SILENT
    for row, shard in enumerate(fleet.shards):
        if shard.id in moment.gone:
            shards[row] = console.GONE
    unheard = (shards == console.SILENT) | (shards == console.GONE)
    for i, beneath in enumerate(fleet.shards_beneath):
        if unheard[beneath].all():
            state[fleet.shard_count + i] = console.SILENT
    view.state = state.tobytes()
    view.log_e = floored(standing.log_e, np.float16).astype("<f2").tobytes()
    view.learned = standing.learned.astype(np.uint8).tobytes()
    view.hypotheses = len(fleet.rows)
    view.freezes.extend(_frozen(freeze) for freeze in standing.freezes)


def _frozen(freeze: Freeze) -> console.Frozen:
    return console.Frozen(
        id=freeze.id,
        nodes=freeze.nodes,
        from_ns=nanoseconds(freeze.start),
        until_ns=nanoseconds(freeze.until),
        reason=freeze.reason,
    )


def _host(note: HostNote, fleet: Fleet | None) -> console.Host:
    rows: Mapping[str, npt.NDArray[np.int64]] = {} if fleet is None else fleet.hosts
    count = len(rows[note.name]) if note.name in rows and note.name != NODES_HOST else 0
    return console.Host(name=note.name, heard_seconds=note.heard, silent=note.silent, shards=count)


def nanoseconds(seconds: float) -> int:
    """Return Unix seconds as nanoseconds, 0 for an unknown time or one before 1970."""
    return 0 if isnan(seconds) or seconds <= 0 else round(seconds * 1e9)
