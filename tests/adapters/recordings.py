"""Small recordings for tests, written as text so that a fault can be put into any line.

Apart, because reader, writer and play-back source are tested on the same ones.
"""

import gzip
import json
from pathlib import Path

TOPOLOGY = {
    "nodes": [
        {"id": "host", "kind": "host"},
        {"id": "gpu-0", "kind": "gpu_shard", "metadata": {"sku": "h100"}},
        {"id": "gpu-1", "kind": "gpu_shard", "metadata": {"sku": "h100"}},
    ],
    "edges": [
        {"from": "host", "to": "gpu-0", "relationship": "contains"},
        {"from": "host", "to": "gpu-1", "relationship": "contains"},
    ],
}

ROWS = """t,shard,metric,value
10,gpu-1,power_watts,500.5
0,gpu-0,power_watts,400
0,gpu-0,clock,
10,gpu-0,power_watts,error:GPU_LOST
20,gpu-0,clock,-1e3
"""


def folder(
    path: Path, rows: str | None = ROWS, topology: object = TOPOLOGY, *, packed: bool = False
) -> Path:
    """Make a recording in ``path``; None leaves a part of it out."""
    path.mkdir(exist_ok=True)
    if topology is not None:
        (path / "topology.json").write_text(json.dumps(topology))
    if rows is not None and packed:
        (path / "readings.csv.gz").write_bytes(gzip.compress(rows.encode()))
    elif rows is not None:
        (path / "readings.csv").write_text(rows)
    return path
