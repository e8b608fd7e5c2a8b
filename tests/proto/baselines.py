"""A small learned baseline for the tests of its file.

Apart, because proto, agent and aggregator test what they do with the same one.
"""

import numpy as np

from tessera.proto.baseline_file import COLUMNS, Array, Baseline, Cell, Stream


def cell(**changes: object) -> Cell:
    """Return a fast cell of the pool "sku=h200", with other values for some fields."""
    made: dict[str, object] = {
        "pool": "sku=h200",
        "metric": "power_watts",
        "rung": 5,
        "slow": False,
        "phi": 0.4,
        "kappa": 1.1,
        "peers": 32,
        "validity": 1,
        "reasons": (("INFLATED", (1.25,), (25, 50)), ("FEW_WINDOWS", (), ())),
        "rho": 0.02,
        "outlying": 0.0,
        "recalibrated": False,
    }
    return Cell(**{**made, **changes})  # type: ignore[arg-type]  # the fields' own types


def stream(shard: str, **changes: object) -> Stream:
    """Return the fast stream of ``shard``, with other values for some fields."""
    made: dict[str, object] = {
        "shard": shard,
        "sku": "h200",
        "job": "train",
        "role": "worker",
        "group": "sku=h200,job=train,role=worker",
        "metric": "power_watts",
        "rung": 5,
        "phi": 0.4,
        "kappa": 1.1,
        "validity": 1,
    }
    return Stream(**{**made, **changes})  # type: ignore[arg-type]  # the fields' own types


def columns(count: int, blocks: int = 100) -> dict[str, Array]:
    """Return what ``count`` streams know after ``blocks`` counted ones."""
    made: dict[str, Array] = {
        name: np.zeros((count, *shape), dtype=layout) for name, (layout, shape) in COLUMNS.items()
    }
    made["scale"] = np.ones(count)
    made["theta"] = np.tile([0.0, 1.0], (count, 1))
    made["p"] = np.tile([0.1, 0.0, 0.1], (count, 1))
    made["steps"] = np.full(count, 150 + blocks, dtype=np.int64)
    made["knots"] = np.tile(np.linspace(-3, 3, 63, dtype=np.float32), (count, 1))
    bins = np.full(64, blocks // 64) + (np.arange(64) < blocks % 64)
    made["counts"] = np.tile(bins.astype(np.uint32), (count, 1))
    return made


def baseline(shards: int = 3, **changes: object) -> Baseline:
    """Return a baseline of ``shards`` g0, g1, …, with other values for some fields."""
    made: dict[str, object] = {
        "source": "rec",
        "window": (0.0, 5000.0),
        "cells": (cell(),),
        "streams": tuple(stream(f"g{i}") for i in range(shards)),
        "columns": columns(shards),
        "windows": {(0, 10): np.arange(4, dtype=np.float32)},
        "left_out": {"g9": "more than 10 % of its ticks are marked"},
    }
    return Baseline(**{**made, **changes})  # type: ignore[arg-type]  # the fields' own types
