"""Faults to plant in a synthetic fleet: what goes wrong, where, since when, by how much.

Apart, because a scenario is a list of faults and its truth must be written beside the readings.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shape = Literal["step", "slope", "spread", "oscillation", "spikes", "flatline", "missing"]
Unit = Literal["sd", "fraction", "factor"]

WAVES = frozenset({"oscillation", "spikes"})  # that come again each period
SHORTEST_PERIOD = 2  # ticks
RAMP = 1000  # ticks in which a slope grows by its size
_LARGEST = 1e30  # of a size: what is larger overflows the readings


class BadFault(ValueError):  # noqa: N818 - named for what it says
    """Say what is wrong with a fault: its ``text``, ``what``, ``todo``."""

    def __init__(self, text: str, what: str, todo: str) -> None:
        """Keep the facts; the text is made of them when asked for."""
        super().__init__(text, what, todo)
        self.text = text
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"fault {self.text!r:.120}: {self.what}; {self.todo}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with ``node`` (all shards beneath it) from ``onset`` to ``end``.

    ``metric`` is a name or ``*``. A *step* adds ``size``, a *slope* grows by it every 1,000 ticks,
    *spread* multiplies the own noise by it, *oscillation* adds a sine of that amplitude every
    ``period`` ticks, *spikes* add it, up and down in turn, every ``period`` ticks (these three
    leave the mean where it is), *flatline* repeats the first value, *missing* gives none.
    ``unit`` of a size: marginal sd of the own noise, or fraction of the value.
    Ticks count from 0; ``end`` is the first healthy tick, None for never.
    """

    node: str
    metric: str
    shape: Shape
    size: float = 0.0
    onset: int = 0
    end: int | None = None
    unit: Unit = "sd"
    period: int = 0

    def __post_init__(self) -> None:
        """Refuse a span without ticks, and a size that leaves no value."""
        if self.onset < 0 or (self.end is not None and self.end <= self.onset):
            raise BadFault(self.node, "it ends before it begins", "write @ONSET or @ONSET-END")
        if not abs(self.size) <= _LARGEST:
            raise BadFault(self.node, "its size is too large", "write a size of at most 1e30")
        if self.shape in WAVES and self.period < SHORTEST_PERIOD:
            todo = f"write /{SHORTEST_PERIOD} or more ticks"
            raise BadFault(self.node, f"its period is {self.period} ticks", todo)
        if self.unit == "fraction" and self.size <= -1:
            raise BadFault(self.node, "it takes all there is", "write more than -100%")

    def refuse_beyond(self, ticks: int) -> None:
        """Raise ``BadFault`` if, of ``ticks``, it sees none or its slope leaves no value."""
        if self.onset >= ticks:
            what = f"begins at {self.onset}, but there are {ticks} ticks"
            raise BadFault(self.node, what, "let it begin earlier or record for longer")
        last = ticks if self.end is None else min(ticks, self.end)
        grown = self.size * (last - self.onset) / RAMP
        if self.shape == "slope" and self.unit == "fraction" and grown <= -1:
            what = f"its slope takes all there is before tick {last}"
            raise BadFault(self.node, what, "write a gentler slope or end it with @ONSET-END")


_GRAMMAR = (
    "write NODE:METRIC:WHAT@ONSET[-END], WHAT like +4sd, -8%, slope+4sd, spread*3, wave+1sd/6, "
    "spikes+8sd/20, flatline"
)
_WHAT = re.compile(
    r"(?:(?P<shape>slope)?(?P<shift>[+-](?:\d+\.?\d*|\.\d+))(?P<unit>sd|%)"
    r"|(?P<wave>wave|spikes)\+(?P<size>\d+\.?\d*|\.\d+)(?P<of>sd|%)/(?P<period>\d+)"
    r"|spread\*(?P<factor>\d+\.?\d*|\.\d+)"
    r"|(?P<plain>flatline|missing))"
    r"@(?P<onset>\d+)(?:-(?P<end>\d+))?"
)


def parse_fault(text: str) -> Fault:
    """Return the fault that ``text`` describes; raise ``BadFault``.

    ``NODE:METRIC:WHAT@ONSET[-END]`` with ticks from 0; WHAT is ``+4sd``, ``-8%``, ``slope+4sd``,
    ``slope-8%`` (each 1,000 ticks), ``spread*3``, ``wave+1sd/6`` (a sine every six ticks),
    ``spikes+8sd/20`` (up and down in turn, one every 20 ticks), ``flatline`` or ``missing``.
    """
    parts = text.rsplit(":", 2)
    found = _WHAT.fullmatch(parts[-1])
    if found is None or len(parts) != 3 or not parts[0] or not parts[1]:  # noqa: PLR2004 - the three parts of the grammar
        raise BadFault(text, "is not understood", _GRAMMAR)
    try:
        onset, end = int(found["onset"]), int(found["end"]) if found["end"] else None
        return _fault(parts[0], parts[1], found, onset, end)
    except BadFault as bad:
        raise BadFault(text, bad.what, bad.todo) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise BadFault(text[:60], "its ticks have thousands of digits", _GRAMMAR) from None


def _fault(node: str, metric: str, found: re.Match[str], onset: int, end: int | None) -> Fault:
    if found["plain"] == "flatline":
        return Fault(node, metric, "flatline", 0.0, onset, end)
    if found["plain"] == "missing":
        return Fault(node, metric, "missing", 0.0, onset, end)
    if found["wave"]:
        return _wave(node, metric, found, onset, end)
    if found["factor"]:
        return Fault(node, metric, "spread", float(found["factor"]), onset, end, "factor")
    shape: Shape = "slope" if found["shape"] else "step"
    size = float(found["shift"])
    if found["unit"] == "%":
        return Fault(node, metric, shape, size / 100, onset, end, "fraction")
    return Fault(node, metric, shape, size, onset, end, "sd")


def _wave(node: str, metric: str, found: re.Match[str], onset: int, end: int | None) -> Fault:
    shape: Shape = "spikes" if found["wave"] == "spikes" else "oscillation"
    size, period = float(found["size"]), int(found["period"])
    if found["of"] == "%":
        return Fault(node, metric, shape, size / 100, onset, end, "fraction", period)
    return Fault(node, metric, shape, size, onset, end, "sd", period)


class Planted:
    """Faults laid on the rows and columns of one fleet; chunks must come in order of time."""

    def __init__(
        self,
        faults: Sequence[Fault],
        rows: Mapping[str, Sequence[int]],
        metrics: Sequence[str],
    ) -> None:
        """Find the shards and metrics of each fault; raise ``BadFault`` for one that is unknown.

        ``rows`` gives for every node the numbers of the shards beneath it (itself for a shard).
        """
        self._cells = [(f, *_cells(f, rows, metrics)) for f in faults]
        self._held: dict[int, Floats] = {}

    def scale_noise(self, noise: Floats, start: int) -> None:
        """Multiply the own noise (T, S, M), which begins at tick ``start``, in place."""
        for fault, rows, columns in self._cells:
            if fault.shape == "spread":
                ticks = _span(fault, start, len(noise))
                noise[np.ix_(ticks, rows, columns)] *= fault.size

    def shift(self, values: Floats, sd: Floats, start: int) -> None:
        """Add steps, slopes, waves and spikes to ``values`` (T, S, M) in place; ``sd`` is (M,)."""
        for fault, rows, columns in self._cells:
            if fault.shape in {"step", "slope"} | WAVES:
                ticks = _span(fault, start, len(values))
                cells = np.ix_(ticks, rows, columns)
                size = fault.size * _course(fault, ticks + start - fault.onset)[:, None, None]
                unit = sd[columns] if fault.unit == "sd" else values[cells]
                values[cells] += size * unit

    def silence(self, values: Floats, start: int) -> None:
        """Hold flat or take away readings (T, S, M) in place, after all else."""
        for number, (fault, rows, columns) in enumerate(self._cells):
            ticks = _span(fault, start, len(values))
            if not ticks.size or fault.shape not in {"flatline", "missing"}:
                continue
            cells = np.ix_(ticks, rows, columns)
            if fault.shape == "missing":
                values[cells] = np.nan
            else:
                first = values[ticks[0]][np.ix_(rows, columns)]
                values[cells] = self._held.setdefault(number, first)


def _cells(
    fault: Fault, rows: Mapping[str, Sequence[int]], metrics: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if fault.node not in rows:
        todo = f"name a shard or a node above shards, such as {next(iter(rows))!r}"
        raise BadFault(fault.node, "there is no such node", todo)
    columns = [i for i, name in enumerate(metrics) if fault.metric in {"*", name}]
    if not columns:
        todo = f"use * or one of: {', '.join(metrics)}"
        raise BadFault(fault.node, f"there is no metric {fault.metric!r}", todo)
    return np.array(rows[fault.node], dtype=np.int64), np.array(columns, dtype=np.int64)


def _course(fault: Fault, ticks: Ints) -> Floats:
    """Return how much of its size a fault has (T,), so many ``ticks`` after its onset."""
    if fault.shape == "slope":
        return (ticks + 1) / RAMP
    if fault.shape == "oscillation":
        wave: Floats = np.sin(2 * np.pi * ticks / fault.period)
        return wave
    if fault.shape == "spikes":
        nth, within = np.divmod(ticks, fault.period)
        return np.where(within == 0, np.where(nth % 2 == 0, 1.0, -1.0), 0.0)
    return np.ones(len(ticks))


def _span(fault: Fault, start: int, length: int) -> npt.NDArray[np.int64]:
    end = length if fault.end is None else min(length, fault.end - start)
    return np.arange(max(0, fault.onset - start), max(0, end), dtype=np.int64)
