"""The table of known metrics, the rules for unknown names, and a site's overrides.

Apart, because what a metric means is data that replay, agents and the aggregator must share.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import log1p
from pathlib import Path
from types import MappingProxyType

from .document import BadDocument, read_document
from .metric import (
    BESIDE,
    COUNTS,
    JOINT,
    LADDER,
    SCORES,
    BadMetric,
    Direction,
    JobMargin,
    Metric,
    Score,
    Transform,
    apply_transform,
    level_block,
    split,
    with_fields,
)
from .scored import judged_together, scored, together

__all__ = [
    "BESIDE",
    "COUNTS",
    "JOINT",
    "LADDER",
    "SCORES",
    "BadDocument",
    "BadMetric",
    "Catalogue",
    "JobMargin",
    "Metric",
    "Score",
    "apply_transform",
    "default_catalogue",
    "level_block",
    "read_catalogue",
    "split",
    "together",
]

_EQUALS = log1p(0.05)  # 5 % among equals
_ROLES = log1p(0.10)  # 10 % between roles

_DURATIONS = ("_seconds", "_ms", "_us", "_ns", "_time", "_duration", "_latency")
_UNITS = {"_ms": "ms", "_us": "us", "_ns": "ns"}


_Rows = Iterable[Metric]
_Pace = tuple[float, int, int]  # tau, fast and slow block, all in seconds


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Rows by name; names without a row follow the rules for suffixes.

    ``scores`` are those that any row may ask for here, and whether columns are judged jointly.
    """

    rows: Mapping[str, Metric]
    scores: tuple[Score, ...] = BESIDE

    def of(self, name: str, interval: float = 0.0) -> Metric:
        """Return the row called ``name``, or what its suffix says, or a row without a margin.

        The column of a score is made of its metric's row, whether that asks for it or not, for
        readings ``interval`` seconds apart.
        """
        base, score = split(name)
        if score == JOINT:
            return judged_together()
        if score != "mean":
            return scored(self.of(base), score, interval)
        row = self.rows.get(name)
        row = row if row is not None else _by_suffix(name)
        allowed = tuple(score for score in row.scores if score in self.scores)
        return row if allowed == row.scores else replace(row, scores=allowed)

    def judges(self, name: str) -> bool:
        """Say whether evidence is made of a column: a score must be asked for by its metric."""
        base, score = split(name)
        row = self.of(base)
        if score == JOINT:
            return name == JOINT and JOINT in self.scores
        return row.judged and (score == "mean" or score in row.scores)

    def meant(self, name: str) -> str | None:
        """Return the known name closest to an unknown ``name``, for a question to a person."""
        close = get_close_matches(name, self.rows, n=1)
        return close[0] if close and name not in self.rows else None

    def with_override(self, overrides: object) -> "Catalogue":
        """Return a catalogue changed by ``{metric: {field: value}}``; raise ``BadMetric``.

        Fields: unit, kind, transform, direction, margin, role_margin, tau, fast, slow, level,
        refresh, scale, scores; see ``metric.with_fields`` for what each takes.
        """
        if not isinstance(overrides, Mapping):
            every = "*"
            raise BadMetric(every, "overrides are not an object", _SHAPE)
        rows = dict(self.rows)
        for name, fields in overrides.items():
            if not isinstance(name, str) or not isinstance(fields, Mapping):
                raise BadMetric(str(name), "its override is not an object", _SHAPE)
            rows[name] = with_fields(self.of(name), fields)
        return replace(self, rows=MappingProxyType(rows))


_SHAPE = 'write {"metric": {"direction": "up", "margin": 0.05}}'


def default_catalogue() -> Catalogue:
    """Return the catalogue as shipped."""
    return Catalogue(MappingProxyType({row.name: row for row in _ROWS}))


def read_catalogue(path: Path) -> Catalogue:
    """Return the catalogue as shipped with the overrides in the JSON file at ``path``.

    Raises ``BadDocument``, also for what ``with_override`` refuses.
    """
    overrides = read_document(path)
    try:
        return default_catalogue().with_override(overrides)
    except BadMetric as bad:
        raise BadDocument(path.name, None, f"metric {bad.metric!r}: {bad.what}", bad.todo) from None


def _by_suffix(name: str) -> Metric:
    if name.endswith("_total"):
        return _total(name)
    if name.startswith("throttled_") and name.endswith("_ratio"):
        return replace(_THROTTLED, name=name)
    if name.endswith("_per_second"):
        return _work(name, "1/s", -1)
    if name.endswith("_bytes"):
        return replace(_MEMORY, name=name)
    for suffix in _DURATIONS:
        if name.endswith(suffix):
            return _work(name, _UNITS.get(suffix, "s"), 1)
    return Metric(name, "")


def _total(name: str) -> Metric:
    if name.startswith("throttled_") and name.endswith("_seconds_total"):
        return replace(_THROTTLED, name=name, unit="s", kind="counter")
    return Metric(name, "", kind="counter")


def _work(name: str, unit: str, direction: Direction) -> Metric:
    return Metric(
        name,
        unit,
        transform="log",
        direction=direction,
        margin=_EQUALS,
        role_margin=_ROLES,
        tau=0.0,
        fast=1,
        slow=5,
        level=1,
        scores=SCORES,
    )


def _latency(name: str) -> Metric:
    level = level_block(5.0, 1.0)
    row = replace(_work(name, "s", 1), margin=_ROLES, role_margin=_ROLES)
    return replace(row, tau=5.0, fast=5, slow=30, level=level, scores=())  # a summary already


def _gauges(
    names: str, unit: str, transform: Transform, direction: Direction, pace: _Pace
) -> _Rows:
    tau, fast, slow = pace
    for name in names.split():
        row = Metric(name, unit, transform=transform, direction=direction)
        yield replace(row, tau=tau, fast=fast, slow=slow, scores=SCORES)


def _temperature(name: str) -> Metric:
    return Metric(name, "Cel", direction=1, tau=120.0, fast=60, slow=300)  # in steps of 1 °C


def _counts(names: str, block: int) -> _Rows:
    for name in names.split():
        yield Metric(name, "1", kind="counts", direction=1, tau=0.0, fast=block, slow=block)


def _states(names: str) -> _Rows:
    for name in names.split():
        yield Metric(name, "1", kind="state", direction=-1, tau=0.0, fast=0, slow=0)


def _events(names: str) -> _Rows:
    for name in names.split():
        yield Metric(name, "1", kind="event", direction=1, tau=0.0, fast=0, slow=0)


# A share of time, judged as log(1 + milliseconds per second).
_THROTTLED = Metric("throttled_ratio", "1", transform="log1p", direction=1, tau=10.0, scale=1000.0)

# A logarithm, because 1e11 bytes as a float32 are known to 8 kB only.
_MEMORY = Metric("memory_used_bytes", "By", transform="log1p", tau=60.0, fast=30, slow=300)

_ROWS = (
    _work("step_time_seconds", "s", 1),
    _work("collective_time_seconds", "s", 1),
    _work("samples_per_second", "1/s", -1),
    _work("tokens_per_second", "1/s", -1),
    *map(_latency, ("execution_latency_seconds",)),
    *map(_latency, ("execution_latency_p50_seconds", "execution_latency_p99_seconds")),
    *map(_temperature, ("temperature_celsius", "memory_temperature_celsius")),
    *_gauges("power_watts", "W", "identity", 0, (5.0, 5, 30)),
    Metric("energy_joules_total", "J", kind="counter"),
    Metric("power_ratio", "1", tau=60.0, fast=300, slow=600, refresh=60.0),  # of the most, Neuron
    *_gauges("sm_clock_hertz memory_clock_hertz", "Hz", "log", -1, (10.0, 5, 30)),
    *_gauges("utilization_ratio duty_cycle_ratio", "1", "logit", 0, (1.0, 5, 10)),
    *_gauges("neuroncore_utilization_ratio", "1", "logit", 0, (5.0, 5, 30)),
    *_gauges("sm_active_ratio tensor_active_ratio", "1", "logit", -1, (1.0, 5, 10)),
    *_gauges("dram_active_ratio hbm_bandwidth_ratio", "1", "logit", -1, (1.0, 5, 10)),
    _MEMORY,
    replace(_MEMORY, name="hbm_used_bytes"),
    _THROTTLED,
    *_gauges("pcie_tx_bytes_per_second", "By/s", "log1p", -1, (2.0, 5, 10)),
    *_gauges("pcie_rx_bytes_per_second", "By/s", "log1p", -1, (2.0, 5, 10)),
    *_gauges("nvlink_tx_bytes_per_second", "By/s", "log1p", -1, (2.0, 5, 10)),
    *_gauges("nvlink_rx_bytes_per_second", "By/s", "log1p", -1, (2.0, 5, 10)),
    *_gauges("nic_bytes_per_second", "By/s", "log1p", -1, (5.0, 10, 60)),
    *_gauges("host_cpu_ratio", "1", "logit", 0, (5.0, 10, 60)),
    replace(_MEMORY, name="host_memory_available_bytes", direction=-1, tau=5.0, fast=10, slow=60),
    *_counts("pcie_replays nvlink_crc_errors nvlink_replays nvlink_recoveries", 60),
    *_counts("nvlink_symbol_errors execution_errors nic_errors xid_application", 60),
    *_counts("pcie_correctable_errors pcie_uncorrected_errors pcie_naks nvlink_packet_errors", 60),
    *_counts("pages_retired", 300),
    *_counts("ecc_corrected row_remaps sram_ecc_corrected", 300),
    *_states("pcie_link_width pcie_link_generation nvlink_active_links"),
    Metric("nvlink_symbol_error_ratio", "1", kind="state", direction=1, tau=0.0, fast=0, slow=0),
    Metric("power_cap_watts", "W", kind="state", direction=-1, tau=0.0, fast=0, slow=0),
    *_events("ecc_uncorrected xid_hardware device_lost recovery_action row_remap_failure"),
)
