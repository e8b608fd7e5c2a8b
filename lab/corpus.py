"""What is curated: the runs of a baseline bundle, or the shards of a recording, as matrices.

Apart from curating, because the two come from different files and are the same thing behind here:
runs of ticks by signals, whose ticks of one number were simultaneous.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..adapters.document import BadDocument, is_number, is_tellable, read_document

Floats = npt.NDArray[np.float64]

REQUIRED: Final = ("version", "generated_at", "seed", "runs")
LARGEST: Final = 1 << 29  # bytes of a bundle
PRESENT: Final = 0.6  # share of the ticks in which a signal must have a value, else it is left out


@dataclass(frozen=True, slots=True)
class Corpus:
    """N runs: their ``names``, ``signals`` and ``rows`` (T_i, p_i), NaN = no value.

    ``document`` is what the bundle says, {} of a recording; ``of`` and ``seed`` stand in the
    token of a curation; ``tick`` is the seconds of one tick, 1 where nobody said, and ``starts``
    are the seconds at which the ticks of a recording began.
    """

    source: Path
    of: str
    seed: str
    names: tuple[str, ...]
    signals: tuple[tuple[str, ...], ...]
    rows: tuple[Floats, ...]
    document: Mapping[str, object]
    tick: float = 1.0
    starts: tuple[float, ...] = ()


def read_bundle(path: Path) -> Corpus:
    """Return the runs of the baseline bundle at ``path``; raise ``BadDocument`` in one line.

    A run's signals are sorted by name and end with the shortest of them; null is no value.
    """
    if path.is_file() and path.stat().st_size > LARGEST:
        what = f"is larger than {LARGEST >> 20} MB"
        raise BadDocument(path.name, None, what, "curate a shorter window")
    document = read_document(path)
    if not isinstance(document, dict):
        raise BadDocument(path.name, None, "is not a JSON object", "write a baseline bundle")
    for key in REQUIRED:
        if key not in document:
            known = ", ".join(REQUIRED)
            raise BadDocument(path.name, None, f"has no {key!r}", f"a bundle has {known}")
    runs = document["runs"]
    if not isinstance(runs, list) or not runs:
        raise BadDocument(path.name, None, "runs is not a list of runs", "write one run or more")
    found = [_run(path, i, run) for i, run in enumerate(runs)]
    return Corpus(
        source=path,
        of=_word(path, "version", document["version"]),
        seed=_word(path, "seed", document["seed"]),
        names=tuple(name for name, _, _ in found),
        signals=tuple(signals for _, signals, _ in found),
        rows=tuple(rows for _, _, rows in found),
        document=document,
    )


def without_absent(rows: Floats, signals: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    """Return ``rows`` (T, p) without the signals that have a value in less than 60 % of them."""
    enough = np.isfinite(rows).mean(axis=0) >= PRESENT if len(rows) else np.zeros(0, dtype=np.bool_)
    kept = np.flatnonzero(enough)
    return rows[:, kept], tuple(signals[j] for j in kept.tolist())


def _run(path: Path, at: int, run: object) -> tuple[str, tuple[str, ...], Floats]:
    where = f"runs[{at}]"
    if not isinstance(run, dict):
        raise BadDocument(path.name, None, f"{where} is not an object", "write signal_series in it")
    series = run.get("signal_series")
    if not isinstance(series, dict):
        what = f"{where} has no signal_series"
        raise BadDocument(path.name, None, what, "write numbers by signal name")
    names = sorted(str(name) for name in series)
    columns = [_series(path, f"{where}.signal_series.{name}", series[name]) for name in names]
    length = min((len(column) for column in columns), default=0)
    rows = np.array([column[:length] for column in columns], dtype=np.float64)
    rows, kept = without_absent(rows.reshape(len(columns), length).T, names)
    tenant = run.get("tenant_id")
    return f"run {at}" if tenant is None else _word(path, f"{where}.tenant_id", tenant), kept, rows


def _series(path: Path, where: str, values: object) -> Floats:
    if not isinstance(values, list):
        raise BadDocument(path.name, None, f"{where} is not a list", "write its numbers in order")
    for i, value in enumerate(values):
        if value is not None and not (is_number(value) and abs(value) < 1e150):  # noqa: PLR2004 - what a scatter takes
            what = f"{where}[{i}] is not a number"
            raise BadDocument(path.name, None, what, "write a number below 1e150, or null for none")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _word(path: Path, key: str, value: object) -> str:
    if not isinstance(value, (str, int, float)) or not is_tellable(str(value)):
        raise BadDocument(path.name, None, f"{key} is not a word", "write one line, or a number")
    return str(value)
