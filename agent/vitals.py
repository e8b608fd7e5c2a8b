"""How the agent is at a moment: what a probe, Prometheus and a person are told of it.

Apart from the page that tells it and from the runtime that knows it: both change on their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Final

from ..proto.messages import ShardRow, Up2

LATEST: Final = 10.0  # seconds without a tick, from which on the agent is not well


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the agent is now. Ages are seconds; NaN = never.

    ``loop_age`` is since the event loop last came to a tick, taken or not, ``tick_age`` since one
    was taken: while a clock that was set back catches up, none is, and a restart would not help.
    ``sources`` says of each whether it answers, ``hung`` of those that do not which call they are
    in, ``took`` how many seconds the others needed. ``rejected`` counts impossible values by
    metric, ``counters`` what else was counted since the start. ``evidence_age`` is of the newest
    block that was bet, ``sample_ages`` of the newest value by (shard, metric). ``gauges`` are
    further numbers of now, named as in the metrics. ``certificate_ends`` is in Unix seconds.
    """

    host: str
    link: str
    tick_age: float
    loop_age: float
    checkpoint_age: float
    clock_offset: float
    late: float = LATEST
    sources: Mapping[str, str] = field(default_factory=dict)
    hung: Mapping[str, str] = field(default_factory=dict)
    took: Mapping[str, float] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    evidence_age: float = nan
    certificate_ends: float = nan
    sample_ages: Mapping[tuple[str, str], float] = field(default_factory=dict)
    shards: tuple[ShardRow, ...] = ()
    gauges: Mapping[str, float] = field(default_factory=dict)

    @property
    def ticking(self) -> bool:
        """Say whether ticks are taken."""
        return self.tick_age <= self.late

    @property
    def alive(self) -> bool:
        """Say whether the event loop gets on. If not, only a restart helps."""
        return self.loop_age <= self.late

    @property
    def well(self) -> bool:
        """Say whether ticks are taken and every source answers.

        A link that is down is the aggregator's or the network's.
        """
        return self.ticking and not self.hung

    @property
    def status(self) -> str:
        """Return in one line what a person wants to know first."""
        return "; ".join([*self.complaints(), f"link: {self.link}"])

    def complaints(self) -> Iterator[str]:
        """Yield, a line each, what keeps the agent from being well."""
        if not self.ticking:
            known = self.tick_age >= 0
            yield f"no tick for {self.tick_age:.0f} s" if known else "no tick was taken yet"
        for source, call in sorted(self.hung.items()):
            yield f"source {source} hangs in {call}" if call else f"source {source} hangs"


def evidence_age(last: Mapping[int, Up2], now: float) -> float:
    """Return the seconds since the end of the newest block that was bet, NaN = there is none.

    ``last`` is the last evidence of each rung, ``now`` Unix seconds.
    """
    ends = [up2.rung * (up2.block + 1) for up2 in tuple(last.values())]
    return max(0.0, now - max(ends)) if ends else nan
