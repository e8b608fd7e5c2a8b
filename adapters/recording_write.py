"""Write a recording: all of the folder or nothing, the same bytes for the same content.

Apart, because the simulator and agents write what the reader has to trust.
"""

import gzip
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from tempfile import mkdtemp

from .recording import ERROR, UNSUPPORTED, VALUE, BadRecording, Codes, Event, Fact, Floats
from .topology.model import Topology
from .topology.static import write_topology

_LEVEL = 6  # of gzip; higher costs time and saves little


@dataclass(frozen=True, slots=True)
class Outline:
    """All of a recording but its readings; ``shards`` and ``metrics`` name the axes of a chunk.

    ``overrides`` becomes metrics.json, ``truth`` truth.json; both are left out when empty.
    """

    topology: Topology
    shards: tuple[str, ...]
    metrics: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
    events: tuple[Event, ...] = ()
    overrides: Mapping[str, object] = field(default_factory=dict)
    truth: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some ticks: ``times`` (T,) seconds, ``values`` (T, S, M) in base units, NaN for no number.

    Without ``codes`` (as in ``Recording``) a NaN is absent: its row is left out. ``errors`` maps
    (tick of this chunk, shard, metric) to a vendor's code.
    """

    times: Floats
    values: Floats
    codes: Codes | None = None
    errors: Mapping[tuple[int, int, int], str] = field(default_factory=dict)


def write_recording(
    out: Path, outline: Outline, chunks: Iterable[Chunk], *, packed: bool = True
) -> None:
    """Write a recording to the folder ``out``, which must be absent or empty.

    Chunks are written as they come; ``packed`` writes readings.csv.gz. Everything goes to a
    temporary folder beside ``out`` that takes its name at the end. Raises ``BadRecording`` if
    ``out`` holds something or cannot be made, ``ValueError`` for an infinite value.
    """
    refuse_occupied(out)
    with _folder_beside(out) as folder:
        write_topology(outline.topology, folder / "topology.json")
        name = "readings.csv.gz" if packed else "readings.csv"
        with _opened(folder / name, packed=packed) as text:
            text.write("t,shard,metric,value\n")
            for chunk in chunks:
                _write_chunk(text, outline, chunk)
        _write_rest(folder, outline)
        folder.replace(out)


def refuse_occupied(out: Path) -> None:
    """Raise ``BadRecording`` unless ``out`` is absent or an empty folder in an existing one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "exists and is not an empty folder"
        raise BadRecording(str(out), None, what, "name another folder; nothing is overwritten")
    if not out.absolute().parent.is_dir():
        what = "its parent folder does not exist"
        raise BadRecording(str(out), None, what, "make the parent folder first")


@contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    folder = Path(mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    try:
        folder.chmod(0o755)  # mkdtemp makes it private
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[TextIOWrapper]:
    with path.open("wb") as raw:
        if not packed:
            with TextIOWrapper(raw, encoding="utf-8", newline="\n") as text:
                yield text
            return
        # no name and no time in the header: same content, same bytes
        squeezed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_LEVEL, mtime=0)
        with squeezed, TextIOWrapper(squeezed, encoding="utf-8", newline="\n") as text:
            yield text


def _write_chunk(text: TextIOWrapper, outline: Outline, chunk: Chunk) -> None:
    heads = [f"{_quoted(s)},{_quoted(m)}" for s in outline.shards for m in outline.metrics]
    width = len(outline.metrics)
    for tick, at in enumerate(chunk.times.tolist()):
        time = repr(int(at)) if at == int(at) else repr(at)
        values = chunk.values[tick].ravel().tolist()
        codes = None if chunk.codes is None else chunk.codes[tick].ravel().tolist()
        lines = []
        for i, (head, value) in enumerate(zip(heads, values, strict=True)):
            code = VALUE if codes is None else codes[i]
            if code == VALUE and value == value:  # noqa: PLR0124 - the quick test for NaN
                lines.append(f"{time},{head},{_number(value)}\n")
            elif code == UNSUPPORTED:
                lines.append(f"{time},{head},\n")
            elif code == ERROR:
                why = "error:" + chunk.errors.get((tick, i // width, i % width), "")
                lines.append(f"{time},{head},{_quoted(why)}\n")
        text.writelines(lines)


def _number(value: float) -> str:
    if value in {float("inf"), float("-inf")}:
        message = "a recording takes finite numbers or NaN, not an infinite value"
        raise ValueError(message)
    return repr(value).removesuffix(".0")


def _quoted(name: str) -> str:
    if any(sign in name for sign in ',"\r\n'):
        return '"' + name.replace('"', '""') + '"'
    return name


def _write_rest(folder: Path, outline: Outline) -> None:
    if outline.facts:
        rows = [
            f"{fact.at!r},{_quoted(fact.node)},{_quoted(fact.code)},"
            f"{'raised' if fact.raised else 'cleared'}\n"
            for fact in outline.facts
        ]
        _write(folder / "facts.csv", "t,node,code,state\n" + "".join(rows))
    if outline.events:
        _write_document(folder / "events.json", [_event(event) for event in outline.events])
    if outline.overrides:
        _write_document(folder / "metrics.json", dict(outline.overrides))
    if outline.truth:
        _write_document(folder / "truth.json", dict(outline.truth))


def _event(event: Event) -> dict[str, object]:
    found: dict[str, object] = {
        "event_id": event.id,
        "event_class": event.kind,
        "event_ts": event.at,
        "event_window_end_ts": event.until,
        "emitted_at_ts": event.told,
        "scope": list(event.scope),
        "metadata": dict(event.metadata),
    }
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _write_document(path: Path, document: object) -> None:
    _write(path, json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
