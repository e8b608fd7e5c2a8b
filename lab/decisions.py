"""What a curation decided, as records that outlive it: D11 screen, D12 fleet, D13 sentinel.

Apart from the report that persons read, because these keys are a contract with other programs.
"""

import json
from collections.abc import Mapping
from math import log
from typing import Final

from ..engine.curation.fleet import ALPHA, PRIOR, SHRINKAGE, STAKES, FleetScreen
from ..engine.curation.validate import Curation
from ..engine.scatter import SHARE
from .corpus import Corpus

WIRE_FORMAT: Final = "fcp1-v2"  # windows of all incidents, ticks marked and not deleted
TOKEN: Final = "tessera-fcp1-v1"  # noqa: S105 - names a format, opens nothing

_MEMORY: Final = {
    "D11": "One run is screened by its own robust scatter; marked ticks stay in the counts of "
    "ranks, because a reference without its tail makes honest tail values look extreme.",
    "D12": "Runs bear witness to each other: one run in trouble of its own is no incident of the "
    "fleet, and every incident of the window is marked, not only the first.",
    "D13": "What was curated otherwise is another baseline: its token resets what starts from it.",
}


def decisions(corpus: Corpus, found: Curation) -> tuple[Mapping[str, object], ...]:
    """Return the three records in order."""
    return (_d11(corpus, found), _d12(corpus, found), _d13(corpus, found))


def sentinel(corpus: Corpus, fleet: FleetScreen) -> str:
    """Return the token of stage 3b: of another curation, another token."""
    return f"{TOKEN}::{corpus.of}|{corpus.seed}::{_audit_token(fleet)}"


def _audit_token(fleet: FleetScreen) -> str:
    fired = "true" if fleet.incidents else "false"
    return f"fcp1:fired={fired}:windows={json.dumps(_windows(fleet), separators=(',', ':'))}"


def _windows(fleet: FleetScreen) -> list[int]:
    return [int(w) for w in fleet.windows.nonzero()[0]]


def _d11(corpus: Corpus, found: Curation) -> Mapping[str, object]:
    few = sum("complete ticks" in s.skipped or "signals" in s.skipped for s in found.screened)
    failed = sum("positive definite" in s.skipped for s in found.screened)
    total = sum(len(s.marked) for s in found.screened)
    marked = sum(int(s.marked.sum()) for s in found.screened)
    methods = sorted({s.method for s in found.screened if not s.skipped})
    summary = {
        "n_runs_total": len(found.screened),
        "n_runs_screened": len(found.screened) - few - failed,
        "n_runs_skipped_insufficient_samples": few,
        "n_runs_skipped_mcd_failed": failed,
        "n_runs_no_baseline": sum(not s.is_baseline for s in found.screened),
        "n_ticks_total": total,
        "n_ticks_contaminated": marked,
        "contamination_rate": _short(marked / max(total, 1)),
        "mcd_method": "+".join(methods) or "none",
        "mcd_alpha": SHARE,
    }
    rule = (
        "mark a tick whose squared robust distance is beyond the .999 quantile of chi-square with "
        "p degrees of freedom, stretched up to fourfold by the run's own tails; a run with more "
        "than a tenth of its ticks marked is no baseline"
    )
    return _record(corpus, "D11", "per_run_screen", (), summary=summary, rule=rule)


def _d12(corpus: Corpus, found: Curation) -> Mapping[str, object]:
    fleet = found.fleet
    summary = {
        "alpha_fleet": ALPHA,
        "p_base_prior": _short(PRIOR),
        "shrinkage_kappa": SHRINKAGE,
        "training_window_count": len(fleet.windows),
        "lambda_max": max(STAKES),
        "n_shards_screened": sum(s.is_baseline and not s.skipped for s in found.screened),
        "n_windows_aligned": fleet.tested,
        "n_windows_test": fleet.tested,
        "p_base": _short(fleet.base_rate),
        "fired": bool(fleet.incidents),
        "fire_window": fleet.first_fired,
        "log_threshold": _short(log(1.0 / ALPHA)),
        "log_S_final": _short(fleet.log_final),
        "log_S_max": _short(fleet.log_most),
    }
    rule = (
        "bet, at stakes of .25, .5 and .9 and over unknown onsets, on more runs than one being "
        "raised (.975) more often than twice the base rate; at 1/alpha an incident is declared, "
        "marked from its likely onset to its last raised window, and the process begins anew"
    )
    return _record(corpus, "D12", "fleet_correlated_screen", ("D11",), summary=summary, rule=rule)


def _d13(corpus: Corpus, found: Curation) -> Mapping[str, object]:
    windows = _windows(found.fleet)
    summary = {
        "fleet_event_detected": bool(windows),
        "n_fleet_event_windows": len(windows),
        "fleet_event_window_indices": json.dumps(windows, separators=(",", ":")),
        "fcp1_audit_token": _audit_token(found.fleet),
        "residual_seed_hash_sentinel": sentinel(corpus, found.fleet),
        "wire_format_version": WIRE_FORMAT,
    }
    rule = "a curation that marks other windows has another sentinel, and so another baseline"
    return _record(
        corpus, "D13", "residual_seed_sentinel", ("D11", "D12"), summary=summary, rule=rule
    )


def _record(  # noqa: PLR0913 - the parts of a record, each its own
    corpus: Corpus,
    number: str,
    name: str,
    upstream: tuple[str, ...],
    *,
    summary: Mapping[str, object],
    rule: str,
) -> Mapping[str, object]:
    inputs: dict[str, object] = {"upstream_decisions": list(upstream)} if upstream else {}
    inputs["compile_state_ref"] = f"{corpus.of}|{corpus.seed}"
    return {
        "decision_id": number,
        "decision_name": name,
        "inputs": inputs,
        "output_summary": summary,
        "decision_rule": rule,
        "verification": {
            "audit_emitted": True,
            "diagnostic_path": "curation-report.md",
        },
        "source_memorialization": _MEMORY[number],
    }


def _short(value: float) -> float:
    """Return ``value`` with six digits."""
    return float(f"{value:.6g}")
