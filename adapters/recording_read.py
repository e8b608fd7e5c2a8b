"""Read a recording from its folder.

Apart, because everything that can be wrong with other people's files is dealt with here.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from math import isfinite, nan
from pathlib import Path
from typing import TypeGuard, TypeVar

import numpy as np

from .catalogue import Catalogue, default_catalogue, read_catalogue
from .document import BadDocument, is_number, read_document
from .faulty_line import name_the_line
from .readings import ReadingTable, read_table
from .recording import ABSENT, BadRecording, Codes, Event, Fact, Floats, Recording
from .topology.model import BadTopology, Topology
from .topology.static import read_topology

Held = TypeVar("Held")  # what a file holds

_READINGS = "readings.csv"
_TRUTH = "truth.json"
_FACT_HEADER = ["t", "node", "code", "state"]
_STATES = {"raised": True, "cleared": False}
_MOST_CELLS = 50_000_000  # beyond this a recording must be reasonably full
_MOST_EMPTY = 64  # cells for each reading


@dataclass(frozen=True, slots=True)
class Truth:
    """What was really wrong in a recording: the faulty nodes and, where known, since when."""

    open: tuple[str, ...]
    onset: Mapping[str, float]


def read_recording(path: Path, progress: Callable[[int, int], None] | None = None) -> Recording:
    """Return the recording in the folder ``path``; raise ``BadRecording``, one line.

    ``progress`` is told how many bytes of the readings are read, and how many there are.
    ``truth.json`` is not opened: see :func:`read_truth`.
    """
    if not path.is_dir():
        raise BadRecording(str(path), None, "is not a folder", "name the folder of a recording")
    topology = _topology(path / "topology.json")
    catalogue = _catalogue(path / "metrics.json")
    readings = _readings_file(path)
    known = frozenset(topology.shards)
    table = read_table(readings, known, progress)
    metrics = tuple(sorted(table.metrics))
    cells = _Cells(table, topology.shards, metrics)
    if cells.repeated:
        name_the_line(readings, known)
    return Recording(
        path=path,
        topology=topology,
        catalogue=catalogue,
        shards=topology.shards,
        metrics=metrics,
        times=table.times,
        values=cells.values(table.value),
        codes=cells.codes(table.code),
        errors={cells.place(row): code for row, code in table.errors.items()},
        facts=_facts(path / "facts.csv", topology),
        events=_events(path / "events.json", topology),
    )


def read_truth(path: Path) -> Truth:
    """Return what ``truth.json`` in the folder ``path`` says; raise ``BadRecording``."""
    found = _document(path / _TRUTH)
    listed = found.get("open") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not _is_texts(listed):
        todo = 'write {"open": ["node", …]}'
        raise BadRecording(_TRUTH, None, "does not list the faulty nodes", todo)
    onset = found.get("onset", {})
    if not isinstance(onset, dict) or not all(map(is_number, onset.values())):
        todo = 'write "onset": {"node": seconds}'
        raise BadRecording(_TRUTH, None, "its onset is not seconds by node", todo)
    return Truth(tuple(listed), {str(node): float(at) for node, at in onset.items()})


def refuse_strangers(truth: Truth, topology: Topology) -> None:
    """Raise ``BadRecording`` for a node of ``truth`` that is not in ``topology``."""
    for node in (*truth.open, *truth.onset):
        if node not in topology:
            what = f"{node!r:.60} is not in the topology"
            raise BadRecording(_TRUTH, None, what, "list ids of topology.json")


class _Cells:
    """Where each row of a table lies in the array of ticks, shards and metrics."""

    def __init__(
        self, table: ReadingTable, shards: tuple[str, ...], metrics: tuple[str, ...]
    ) -> None:
        self._shape = (table.times.size, len(shards), len(metrics))
        size = table.times.size * len(shards) * len(metrics)
        if size > max(_MOST_CELLS, _MOST_EMPTY * table.value.size):
            what = f"{table.times.size} different times hold {table.value.size} readings"
            todo = "round t so that the readings of one tick share it"
            raise BadRecording(_READINGS, None, what, todo)
        rows = {name: i for i, name in enumerate(shards)}
        columns = {name: i for i, name in enumerate(metrics)}
        shard = np.array([rows[name] for name in table.shards])[table.shard]
        metric = np.array([columns[name] for name in table.metrics])[table.metric]
        self._at = (table.tick * len(shards) + shard) * len(metrics) + metric
        self._size = size

    @property
    def repeated(self) -> bool:
        taken = np.zeros(self._size, dtype=np.bool_)
        taken[self._at] = True
        return int(np.count_nonzero(taken)) < int(self._at.size)

    def values(self, value: Floats) -> Floats:
        found = np.full(self._size, nan)
        found[self._at] = value
        return found.reshape(self._shape)

    def codes(self, code: Codes) -> Codes:
        found = np.full(self._size, ABSENT, dtype=np.int8)
        found[self._at] = code
        return found.reshape(self._shape)

    def place(self, row: int) -> tuple[int, int, int]:
        tick, shard, metric = np.unravel_index(self._at[row], self._shape)
        return int(tick), int(shard), int(metric)


def _readings_file(path: Path) -> Path:
    plain, packed = path / _READINGS, path / "readings.csv.gz"
    if plain.exists() and packed.exists():
        todo = "remove the one that is out of date"
        raise BadRecording(str(path), None, "holds readings.csv and readings.csv.gz", todo)
    if not plain.exists() and not packed.exists():
        todo = "write one with the columns t,shard,metric,value"
        raise BadRecording(str(path), None, "holds no readings.csv or readings.csv.gz", todo)
    return plain if plain.exists() else packed


def _topology(path: Path) -> Topology:
    try:
        topology = read_topology(path)
    except BadTopology as bad:
        what = f"{bad.where}: {bad.what}" if bad.where else bad.what
        raise BadRecording(path.name, None, what, bad.todo) from None
    if not topology.shards:
        todo = "give accelerators the kind gpu_shard, tpu_shard, trainium_chip or the like"
        raise BadRecording(path.name, None, "holds no shards", todo)
    return topology


def _catalogue(path: Path) -> Catalogue:
    return _read(read_catalogue, path) if path.exists() else default_catalogue()


def _document(path: Path) -> object:
    return _read(read_document, path)


def _read(read: Callable[[Path], Held], path: Path) -> Held:
    """Return what ``read`` makes of the file; raise ``BadRecording`` for a bad document."""
    try:
        return read(path)
    except BadDocument as bad:
        raise BadRecording(bad.file, bad.line, bad.what, bad.todo) from None


def _facts(path: Path, topology: Topology) -> tuple[Fact, ...]:
    if not path.exists():
        return ()
    rows = csv.reader(StringIO(_text(path), newline=""), strict=True)
    try:
        if next(rows, None) != _FACT_HEADER:
            todo = f"write {','.join(_FACT_HEADER)}"
            raise BadRecording(path.name, 1, "has another header", todo)
        found = [_fact(row, path.name, rows.line_num, topology) for row in rows if row]
    except csv.Error as broken:
        what = f"is not sound CSV ({broken})"
        raise BadRecording(path.name, rows.line_num, what, "balance the quotes") from None
    return tuple(sorted(found, key=lambda fact: fact.at))


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # quoted line ends stay
            return file.read()
    except UnicodeDecodeError:
        raise BadRecording(path.name, None, "is not UTF-8 text", "write it as UTF-8") from None
    except OSError as fault:
        what = f"cannot be read ({fault.strerror})"
        raise BadRecording(path.name, None, what, "make it a readable file") from None


def _fact(row: list[str], file: str, line: int, topology: Topology) -> Fact:
    if len(row) != len(_FACT_HEADER):
        what = f"has {len(row)} columns"
        raise BadRecording(file, line, what, f"write the four: {','.join(_FACT_HEADER)}")
    time, node, code, state = row
    try:
        at = float(time)
    except ValueError:
        at = nan
    if not isfinite(at):
        raise BadRecording(file, line, f"time {time!r:.60} is not a number", "write seconds")
    if node not in topology:
        todo = "add it to topology.json"
        raise BadRecording(file, line, f"{node!r:.60} is not in the topology", todo)
    if not code or state not in _STATES:
        todo = "write a code and raised or cleared"
        raise BadRecording(file, line, f"code {code!r:.60}, state {state!r:.60}", todo)
    return Fact(at, node, code, _STATES[state])


def _events(path: Path, topology: Topology) -> tuple[Event, ...]:
    if not path.exists():
        return ()
    found = _document(path)
    if not isinstance(found, list):
        raise BadRecording(path.name, None, "is not a list", "write a list of events")
    events = [_event(entry, i, path.name, topology) for i, entry in enumerate(found, start=1)]
    return tuple(sorted(events, key=lambda event: event.at))


def _event(entry: object, number: int, file: str, topology: Topology) -> Event:
    here = f"event {number}"
    if not isinstance(entry, dict):
        todo = 'write {"event_id": …, "event_class": …, "event_ts": …}'
        raise BadRecording(file, None, f"{here} is not an object", todo)
    name, kind, at = (entry.get(key) for key in ("event_id", "event_class", "event_ts"))
    if not isinstance(name, str) or not isinstance(kind, str) or not name or not kind:
        raise BadRecording(
            file, None, f"{here} has no event_id or event_class", "give it both as text"
        )
    until, told = entry.get("event_window_end_ts"), entry.get("emitted_at_ts")
    if not is_number(at) or not all(t is None or is_number(t) for t in (until, told)):
        raise BadRecording(
            file, None, f"{here} has times that are not numbers", "write event_ts in seconds"
        )
    scope = entry.get("scope", [])
    if not _is_texts(scope) or any(node not in topology for node in scope):
        raise BadRecording(
            file, None, f"{here} has a scope outside the topology", "list ids of topology.json"
        )
    about = entry.get("metadata", {})
    if not isinstance(about, dict):
        raise BadRecording(
            file, None, f"{here} has metadata that is not an object", "write values by name"
        )
    return Event(name, kind, at, until, told, tuple(scope), about)


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
