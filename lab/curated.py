"""The artefacts of a curation: the marked baseline, the report and the decisions, as bytes.

Apart from the command, because the same curation gives the same bytes, whoever asks and when.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..engine.curation.validate import HETEROGENEOUS, READY, Curation
from ..proto.baseline_file import Baseline, read_baseline, write_baseline
from .corpus import Corpus
from .decisions import decisions, sentinel
from .told import learned_lines

BASELINE: Final = "curated-baseline.json"
REPORT: Final = "curation-report.md"
DECISIONS: Final = "curation-decisions.jsonl"
LEARNED: Final = "tessera.baseline"

Headline = Literal["Baseline ready", "Heterogeneous corpus", "Review needed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a curation: its ``headline``, a ``warning`` or "", and the exit ``status``."""

    headline: Headline
    warning: str
    status: int


def outcome(found: Curation, *, allow_high_drop: bool) -> Outcome:
    """Return what comes of ``found``: bands at 5 and 15 % withheld, a failure never overridden."""
    share = f"{100.0 * found.drop:.1f} % of the ticks are withheld"
    if not found.validation.passed:
        return Outcome("Review needed", "; ".join(found.validation.reasons), 1)
    if found.drop >= HETEROGENEOUS:
        return Outcome("Heterogeneous corpus", share, 0 if allow_high_drop else 1)
    if found.drop >= READY:
        return Outcome("Baseline ready", share, 0)
    return Outcome("Baseline ready", "", 0)


def artefacts(
    corpus: Corpus, found: Curation, end: Outcome, learned: Baseline | None = None
) -> dict[str, bytes]:
    """Return the three files by name, and a fourth with what was ``learned``."""
    lines = [json.dumps(record, ensure_ascii=False) for record in decisions(corpus, found)]
    files = {
        BASELINE: _json(_marked(corpus, found, end)),
        REPORT: "\n".join(_report(corpus, found, end)).encode(),
        DECISIONS: ("\n".join(lines) + "\n").encode(),
    }
    if learned is not None:
        files[LEARNED] = write_baseline(learned)
        told = learned_lines(read_baseline(files[LEARNED]))
        files[REPORT] += ("\n" + "\n".join(told)).encode()
    return files


def _marked(corpus: Corpus, found: Curation, end: Outcome) -> dict[str, object]:
    """Return the bundle as it came, each run with the ticks that are withheld of it."""
    told = [_of_run(corpus, found, i) for i in range(len(corpus.names))]
    curation: dict[str, object] = {
        "headline": end.headline,
        "drop": float(f"{found.drop:.6g}"),
        "fleet_event_windows": [int(w) for w in found.fleet.windows.nonzero()[0]],
        "residual_seed_hash": sentinel(corpus, found.fleet),
    }
    document = dict(corpus.document)
    runs = document.get("runs")
    if isinstance(runs, list):
        document["runs"] = [
            {**run, "curation": about} for run, about in zip(runs, told, strict=True)
        ]
    else:
        document["runs"] = [
            {"shard": name, "curation": about}
            for name, about in zip(corpus.names, told, strict=True)
        ]
        document["tick_seconds"] = corpus.tick
    return {**document, "curation": curation}


def _of_run(corpus: Corpus, found: Curation, i: int) -> dict[str, object]:
    about = found.screened[i]
    told: dict[str, object] = {
        "baseline": about.is_baseline,
        "signals": list(corpus.signals[i]),
        "marked_ticks": [int(t) for t in about.marked.nonzero()[0]],
        "withheld": int(found.withheld[i].sum()),
        "ticks": len(about.marked),
    }
    if about.skipped:
        told["not_screened"] = about.skipped
    return told


def _report(corpus: Corpus, found: Curation, end: Outcome) -> list[str]:
    fleet, check = found.fleet, found.validation
    ticks = sum(len(about.marked) for about in found.screened)
    where = "".join(f"; windows {first} to {last}" for first, last in fleet.incidents)
    passed = "passed" if check.passed else f"failed: {'; '.join(check.reasons)}"
    again = f"a second pass would mark {check.further} of {check.judged} ticks"
    withheld = f"withheld: {100.0 * found.drop:.2f} %"
    return [
        "# Curation report",
        "",
        f"**{end.headline}**" + (f": {end.warning}" if end.warning else ""),
        "",
        f"- source: {corpus.source.name}, {corpus.of}, seed {corpus.seed}",
        f"- runs: {len(corpus.names)}; ticks: {ticks}; {withheld}",
        f"- incidents of the fleet: {len(fleet.incidents)}{where}",
        f"- validation: {passed} ({again})",
        "",
        "Ticks are marked and none is deleted. A marked tick may stay out of a fit; it stays in",
        "the counts of ranks, whose tail must not be cut.",
        "",
        "| run | signals | ticks | marked | withheld | |",
        "|---|---:|---:|---:|---:|---|",
        *_rows(corpus, found),
        "",
    ]


def _rows(corpus: Corpus, found: Curation) -> Sequence[str]:
    rows = []
    for i, (name, about) in enumerate(zip(corpus.names, found.screened, strict=True)):
        why = about.skipped or ("" if about.is_baseline else "no baseline: more than 10 % marked")
        rows.append(
            f"| {name.replace('|', '/')} | {len(corpus.signals[i])} | {len(about.marked)} | "
            f"{int(about.marked.sum())} | {int(found.withheld[i].sum())} | {why} |"
        )
    return rows


def _json(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
