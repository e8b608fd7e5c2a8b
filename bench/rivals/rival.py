"""One detector as it is compared: what it is fed, its chart, its bar, and what it then reports.

Apart from the charts, because tuning is the same for all of them and so is what counts as found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .charts import Chart, Floats, first_alarm
from .streams import PEERS, Feed

LEVEL = 0.01  # share of healthy iid streams that a tuned detector may alarm on within H


@dataclass(frozen=True, slots=True)
class Rival:
    """A detector on the feed ``fed``: ``charts`` from the most to the least sensitive setting.

    ``bar`` None is tuned; otherwise it stays, and the first of the ``charts`` that keeps to the
    level is taken. Of each fleet only the first ``shards`` are shown to it. ``rule`` says in words
    how it is set; of one chart with a bar nothing is tuned.
    """

    name: str
    fed: str
    charts: tuple[Chart, ...]
    rule: str
    bar: float | None = None
    shards: int = PEERS

    @property
    def fixed(self) -> bool:
        """Say whether there is nothing to tune."""
        return len(self.charts) == 1 and self.bar is not None


def paths(rival: Rival, chart: Chart, feeds: Mapping[str, Feed]) -> Floats:
    """Return how alarming ``chart`` finds each block: (blocks, shards × fleets)."""
    feed = feeds[rival.fed]
    learned, watched = (_flat(part, rival.shards) for part in (feed.learned, feed.watched))
    return chart.path(learned, watched)


def alarms(rival: Rival, feeds: Mapping[str, Feed]) -> Floats:
    """Return the first alarm (fleets, shards) of a tuned ``rival``, from 1; infinite = never.

    Raises ``ValueError`` if it is not tuned yet.
    """
    if not rival.fixed or rival.bar is None:
        message = f"{rival.name} has no bar yet: tune it first"
        raise ValueError(message)
    first = first_alarm(paths(rival, rival.charts[0], feeds), rival.bar)
    return first.reshape(rival.shards, -1).T


def highest(rival: Rival, feeds: Mapping[str, Feed]) -> list[Floats]:
    """Return for each chart of ``rival`` the highest that it reached on each stream (n,)."""
    return [paths(rival, chart, feeds).max(axis=0) for chart in rival.charts]


def tuned(rival: Rival, tops: Sequence[Floats], level: float = LEVEL) -> Rival:
    """Return ``rival`` with one chart and a bar that at most ``level`` of healthy streams reach.

    ``tops`` are the highest values (n,) of its charts on healthy streams. Where no chart keeps to
    the level, the least sensitive is taken.
    """
    if rival.bar is None:
        return replace(rival, bar=tuned_bar(tops[0], level))
    quiet = [float((top >= rival.bar).mean()) <= level for top in tops]
    chosen = quiet.index(True) if True in quiet else len(quiet) - 1
    return replace(rival, charts=(rival.charts[chosen],))


def tuned_bar(top: Floats, level: float) -> float:
    """Return the lowest bar that at most a share ``level`` of the highest values ``top`` reach."""
    ordered = np.sort(top)
    allowed = int(level * len(ordered))
    return float(np.nextafter(ordered[len(ordered) - 1 - allowed], np.inf))


def _flat(part: Floats, shards: int) -> Floats:
    return part[:, :shards].reshape(len(part), -1)
