"""Baseline bundles for the tests of `tessera curate-baseline`, and the command that curates them.

Apart, because the command and the artefacts are tested on the same ones.
"""

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from tessera.lab.__main__ import main

Document = dict[str, object]


def run(path: Path, out: Path, *options: str) -> Result:
    """Run `tessera curate-baseline PATH --out OUT OPTIONS` in this process."""
    return CliRunner().invoke(main, ["curate-baseline", str(path), "--out", str(out), *options])


def series(
    *, seed: int = 1, runs: int = 8, ticks: int = 300, hit: float = 0.0, share: float = 0.05
) -> list[list[list[float]]]:
    """Return numbers by run and signal, moved by ``hit`` sd in a ``share`` of the ticks."""
    values = np.random.default_rng(seed).standard_normal((runs, 2, ticks))
    values[:, :, 100 : 100 + round(share * ticks)] += hit
    found: list[list[list[float]]] = values.round(6).tolist()
    return found


def bundle(path: Path, values: list[list[list[float]]], /, **changes: object) -> Path:
    """Write a bundle of ``values`` to ``path``, with other values for some of its keys."""
    document: Document = {
        "version": "1",
        "generated_at": "2026-11-23T00:00:00Z",
        "seed": 7,
        "cell_dim": "hour_of_day",
        "runs": [
            {"tenant_id": f"r{i}", "signal_series": {"b": b, "a": a}}
            for i, (a, b) in enumerate(values)
        ],
    }
    path.write_text(json.dumps({**document, **changes}), encoding="utf-8")
    return path


def artefact(out: Path) -> Document:
    """Return curated-baseline.json."""
    found = json.loads((out / "curated-baseline.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found
