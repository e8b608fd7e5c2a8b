"""Fleets as the aggregator would describe them, for all tests of the terminal."""

from collections.abc import Iterable, Sequence

import numpy as np

from tessera.proto.schema import console

AT = 1_763_906_530  # 2025-11-23 14:02:10 UTC
NS = 10**9


def layout(racks: int, hosts: int, gpus: int, *, version: int = 1) -> console.Layout:
    """Return rows of ``racks`` × ``hosts`` × ``gpus``, shards first, then hosts, racks, root."""
    names = [
        (f"r{r:02}", f"r{r:02}-h{h}", f"r{r:02}-h{h}-gpu{g}")
        for r in range(racks)
        for h in range(hosts)
        for g in range(gpus)
    ]
    shards = len(names)
    first_host, first_rack = shards, shards + racks * hosts
    root = first_rack + racks
    rows = [
        console.Row(id=gpu, kind="gpu_shard", parent=1 + first_host + i // gpus, host=host)
        for i, (_, host, gpu) in enumerate(names)
    ]
    rows += [
        console.Row(id=names[i * gpus][1], kind="host", parent=1 + first_rack + i // hosts)
        for i in range(racks * hosts)
    ]
    rows += [console.Row(id=f"r{r:02}", kind="rack", parent=1 + root) for r in range(racks)]
    rows.append(console.Row(id="prod-east", kind="cluster"))
    return console.Layout(version=version, shards=shards, rows=rows)


def verdict(node: str, level: str = "shard", **other: object) -> console.Verdict:
    """Return an open verdict on ``node``, controlled evidence unless ``other`` says so."""
    fields: dict[str, object] = {
        "id": f"v-{node}",
        "channel": "change",
        "guarantee": "controlled",
        "validity_class": "construction",
        "log_e": 11.8,
        "opened_ns": (AT - 1080) * NS,
        "since_ns": (AT - 1330) * NS,
        "metrics": ["power_watts", "sm_clock_hertz"],
        "reason": "power_watts changed against 71 peers",
        "state": "open",
        "correlational_not_causal": True,
    }
    return console.Verdict(node=node, level=level, **{**fields, **other})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a table of fields


def view(  # noqa: PLR0913  a view has so many parts
    rows: console.Layout | None,
    *,
    at: float = AT,
    sequence: int = 1,
    states: dict[int, int] | None = None,
    evidence: dict[int, float] | None = None,
    learned: int = 200,
    verdicts: Sequence[console.Verdict] = (),
    hosts: Iterable[console.Host] = (),
    clock: str = "live",
    version: int | None = None,
    waiting: int = 0,
    notice: str = "",
    shape: tuple[int, int] | None = None,
) -> console.View:
    """Return a whole view; ``shape`` (rows, shards) where the layout is left out."""
    total, shards = shape or ((len(rows.rows), rows.shards) if rows else (0, 0))
    state = np.zeros(total, dtype=np.uint8)
    log_e = np.full(total, -0.5, dtype="<f2")
    for row, value in (states or {}).items():
        state[row] = value
    for row, nats in (evidence or {}).items():
        log_e[row] = nats
    return console.View(
        at_ns=int(at * NS),
        sequence=sequence,
        cluster="prod-east",
        clock=clock,
        layout=rows,
        layout_version=version if version is not None else (rows.version if rows else 0),
        state=state.tobytes(),
        log_e=log_e.tobytes(),
        learned=np.full(shards, learned, dtype=np.uint8).tobytes(),
        open=verdicts,
        hosts=hosts,
        q=0.1,
        hypotheses=total,
        plan=3,
        decided_ns=int((at - 12) * NS),
        waiting_hosts=waiting,
        notice=notice,
    )
