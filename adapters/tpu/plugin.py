"""What the device plugin of a GKE node says of each chip, workload or not.

Apart, because it is a page of samples that names chips by its own ids, and the only one that knows
which pod holds them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..exposition import Sample
from ..pod import job_of

URL: Final = "http://127.0.0.1:2112/metrics"
REFRESH: Final = 60.0  # seconds over which the plugin averages, and after which it has new values

_MAKE: Final = "cloud-tpu"
_NODE: Final = "_node"  # behind the name of what is of the node and not of a container
_TOTAL: Final = "memory_total"
_ID = re.compile(r"(?:.*-)?(\d{1,4})", re.ASCII)

# The metric of ours, and what leads to its base unit by division.
_METRICS: Final = {
    "duty_cycle": ("duty_cycle_ratio", 100.0),
    "tensorcore_utilization": ("tensor_active_ratio", 100.0),
    "memory_bandwidth_utilization": ("hbm_bandwidth_ratio", 100.0),
    "memory_used": ("hbm_used_bytes", 1.0),
}
METRICS: Final = tuple(metric for metric, _ in _METRICS.values())


@dataclass(slots=True)
class Shown:
    """One chip of a page: ``values`` by our metrics in base units, its ``memory``, its ``job``."""

    values: dict[str, float] = field(default_factory=dict)
    memory: float | None = None
    job: str = ""


def shown_of(samples: Iterable[Sample]) -> Mapping[int, Shown]:
    """Return the chips of a page by their number on the node.

    A container's row comes before the node's, as both speak of one chip.
    """
    ours = [sample for sample in samples if sample.labels.get("make") == _MAKE]
    found: dict[int, Shown] = {}
    for sample in sorted(ours, key=lambda sample: sample.name.endswith(_NODE)):
        number = _number(sample.labels.get("accelerator_id", ""))
        if number is not None:
            _take(found.setdefault(number, Shown()), sample)
    return found


def _take(shown: Shown, sample: Sample) -> None:
    name = sample.name.removesuffix(_NODE)
    shown.job = shown.job or job_of(sample.labels)
    if name == _TOTAL and shown.memory is None:
        shown.memory = sample.value
    elif name in _METRICS:
        metric, per = _METRICS[name]
        shown.values.setdefault(metric, sample.value / per)


def _number(name: str) -> int | None:
    match = _ID.fullmatch(name)
    return None if match is None else int(match[1])
