"""What the agent tells Prometheus of itself, of its sources and of the devices that they read.

Apart from the page's format and from the vitals: here stand names, units and help, which are what
dashboards and alarms are built on.
"""

from collections.abc import Iterator
from math import isfinite, nan
from typing import Final

from .exposition import Family, Sample
from .usage import Usage
from .vitals import Vitals

AGENT: Final = "tessera_agent_"
DROPPED: Final = "_dropped"  # ends counters of what was lost, by what

SEEN: Final = 90.0  # seconds: three times that of the slowest exporters in use

COUNTERS: Final = {
    "ticks": "Ticks taken.",
    "ticks_discarded": "Ticks not taken because the clock was set back.",
    "unsupported": "Readings of counters that a device does not have.",
    "failed": "Readings that ended with a vendor's error.",
    "impossible": "Readings that are infinite, no number or absurdly large.",
    "sources_failed": "Ticks in which a source raised an error of its own.",
    "blocks_without_link": "Blocks completed while no aggregator was connected: not bet.",
    "links": "Links to the aggregator that came about.",
    "bad_messages": "Messages of the aggregator that made no sense.",
    "records_unwritten": "Records of evidence that the disk did not take.",
    "history_blocks_unwritten": "Blocks that the disk did not take: kept in memory.",
    "history_words_unwritten": "Facts, events and gaps that the disk did not take.",
}
GAUGES: Final = {
    "spool_bytes": "Bytes on disk of blocks that the aggregator may not have stored yet.",
    "spool_limit_bytes": "Bytes from which on the oldest of these blocks are dropped.",
}


def families(vitals: Vitals, software: str, usage: Usage) -> Iterator[Family]:
    """Yield every metric; ``software`` is the agent's version. No series has ten labels."""
    build: Sample = {"version": software}, 1.0
    yield Family("tessera_build_info", "gauge", "The agent's version.", (build,))
    yield from _devices(vitals)
    yield from _gauges(vitals)
    yield from _sources(vitals)
    yield from _counters(vitals)
    yield from _process(usage)


def _devices(vitals: Vitals) -> Iterator[Family]:
    """Yield what the shards are, apart from how they do: to be joined by ``shard``."""
    about = (
        {
            "host": vitals.host,
            "shard": shard.id,
            "kind": shard.kind,
            "sku": shard.sku,
            "workload": shard.job,  # "job" is Prometheus' own
            "role": shard.role,
        }
        for shard in vitals.shards
    )
    yield Family(
        "tessera_device_info",
        "gauge",
        "What a shard is; 1.",
        tuple((labels, 1.0) for labels in about),
    )
    newest: dict[str, float] = {}
    for (shard, _), age in vitals.sample_ages.items():
        newest[shard] = min(age, newest.get(shard, age))
    listed = {shard.id for shard in vitals.shards} | set(newest)
    yield Family(
        "tessera_device_up",
        "gauge",
        "Whether any counter of a shard had a value within 90 seconds.",
        tuple(
            ({"shard": shard}, float(newest.get(shard, nan) <= max(SEEN, vitals.late)))
            for shard in sorted(listed)
        ),
    )
    yield Family(
        "tessera_sample_age_seconds",
        "gauge",
        "Seconds since the newest value of a counter of a shard.",
        tuple(
            ({"shard": shard, "metric": metric}, age)
            for (shard, metric), age in vitals.sample_ages.items()
        ),
    )


def _gauges(vitals: Vitals) -> Iterator[Family]:
    told = {
        "up": ("Whether ticks are taken.", float(vitals.ticking)),
        "link_up": ("Whether an aggregator is connected.", float(vitals.link == "up")),
        "tick_age_seconds": ("Seconds since the last tick.", vitals.tick_age),
        "evidence_age_seconds": ("Seconds since the last block that was bet.", vitals.evidence_age),
        "checkpoint_age_seconds": ("Seconds since the last checkpoint.", vitals.checkpoint_age),
        "clock_offset_seconds": (
            "Seconds by which the aggregator's clock is ahead.",
            vitals.clock_offset,
        ),
        "certificate_expiry_timestamp_seconds": (
            "Unix second at which the agent's own certificate ends.",
            vitals.certificate_ends if isfinite(vitals.certificate_ends) else nan,
        ),
    }
    for name, (help_, value) in told.items():
        yield Family.one(AGENT + name, "gauge", help_, value)
    for name, value in sorted(vitals.gauges.items()):
        yield Family.one(AGENT + name, "gauge", GAUGES.get(name, _words(name)), value)
    yield Family(
        AGENT + "fact_standing",
        "gauge",
        "Facts of this host that stand; 1.",
        tuple(({"code": code}, 1.0) for code in vitals.facts),
    )


def _sources(vitals: Vitals) -> Iterator[Family]:
    yield Family(
        AGENT + "source_up",
        "gauge",
        "Whether a source answered in time.",
        tuple(
            ({"source": name}, float(name not in vitals.hung)) for name in sorted(vitals.sources)
        ),
    )
    yield Family(
        AGENT + "source_duration_seconds",
        "gauge",
        "Seconds that a source took for the last tick.",
        tuple(({"source": name}, seconds) for name, seconds in sorted(vitals.took.items())),
    )
    yield Family(
        AGENT + "rejected_values_total",
        "counter",
        "Values refused because no device can have them.",
        tuple(({"metric": name}, float(n)) for name, n in sorted(vitals.rejected.items())),
    )


def _counters(vitals: Vitals) -> Iterator[Family]:
    dropped: list[Sample] = []
    for name, count in sorted(vitals.counters.items()):
        if name.endswith(DROPPED):
            dropped.append(({"what": name.removesuffix(DROPPED)}, float(count)))
            continue
        help_ = COUNTERS.get(name, _words(name))
        yield Family.one(f"{AGENT}{name}_total", "counter", help_, float(count))
    yield Family(AGENT + "dropped_total", "counter", "What was lost, by what.", tuple(dropped))


def _process(usage: Usage) -> Iterator[Family]:
    """Yield what the process costs, by the names that all clients of Prometheus use."""
    yield Family.one(
        "process_resident_memory_bytes", "gauge", "Resident memory in bytes.", usage.resident
    )
    yield Family.one(
        "process_cpu_seconds_total", "counter", "Processor time in seconds.", usage.cpu
    )
    yield Family.one("process_open_fds", "gauge", "Open file descriptors.", usage.files)


def _words(name: str) -> str:
    """Return help for a number that another part of the agent names itself."""
    return name.replace("_", " ").capitalize() + "."
