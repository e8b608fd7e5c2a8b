"""The sources of counters that settings can name, and which hardware this host has.

Apart, because a vendor's library is imported only when its source is asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from .base import CounterSource, Reading, Shard, SourceUnavailable
from .catalogue import Catalogue, default_catalogue
from .recording_read import read_recording
from .recording_source import RecordingSource
from .registry import Registry
from .synthetic.faults import Fault
from .synthetic.fleet import FleetSpec, SyntheticFleet, SyntheticSource
from .topology.model import Topology

_NVML = "nvml"

HARDWARE = (_NVML,)  # in the order in which ``detect`` tries them

_DIGITS = 6  # of a second; Unix time as a float64 knows no more, and sums of ticks differ beyond


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source may be told; those at their default were not said.

    ``recording`` is the folder to play. Of a recording or a synthetic fleet, ``beneath`` serves
    only the shards beneath that node of the topology and ``shards`` only those named; ``began`` is
    the Unix second at which their second 0 lies (agents that play one recording together must
    agree on it). ``fleet``, ``faults`` and ``seed`` make the synthetic fleet. ``xid_classes``
    is a TOML file of classes over the shipped ones.
    """

    recording: Path | None = None
    beneath: str | None = None
    shards: tuple[str, ...] = ()
    began: float | None = None
    xid_classes: Path | None = None
    fleet: FleetSpec = field(default_factory=FleetSpec)
    faults: tuple[Fault, ...] = ()
    seed: int = 1


class PlayedSource:
    """A source whose second 0 lies at the Unix second ``began``, with what its readings mean.

    ``metrics`` are all that it yields at any time, ``catalogue`` says how they are judged and
    ``interval`` how many seconds lie between its ticks.
    """

    def __init__(
        self,
        source: CounterSource,
        began: float,
        *,
        metrics: tuple[str, ...],
        catalogue: Catalogue,
        interval: float,
    ) -> None:
        """Wrap ``source``, which counts its seconds from 0."""
        self.name = source.name
        self.metrics = metrics
        self.catalogue = catalogue
        self.interval = interval
        self._source = source
        self._began = began

    def shards(self) -> Sequence[Shard]:
        """Return the shards served."""
        return self._source.shards()

    def read(self, at: float) -> Iterable[Reading]:
        """Return the readings at the Unix second ``at``; none outside what is played."""
        return self._source.read(round(at - self._began, _DIGITS))


@dataclass(frozen=True, slots=True)
class Detected:
    """The hardware of this host: open ``sources``, and why each of the others has nothing."""

    sources: tuple[CounterSource, ...]
    absent: tuple[SourceUnavailable, ...]


def open_source(name: str, options: SourceOptions) -> CounterSource:
    """Return the source called ``name``: nvml, recording or synthetic.

    Raises ``UnknownName`` for another name, ``ValueError`` (one line) for options that the source
    does not read or cannot follow, ``SourceUnavailable`` if its library is not installed.
    """
    make = _SOURCES.factory(name)
    _refuse_unread(name, options)
    return make(options)


def detect(names: Sequence[str] = HARDWARE, options: SourceOptions | None = None) -> Detected:
    """Try the hardware sources in turn and keep those that have shards.

    Each is told what it reads of ``options``; raises ``ValueError`` for what it cannot follow.
    """
    sources: list[CounterSource] = []
    absent: list[SourceUnavailable] = []
    for name in names:
        try:
            source = open_source(name, _read_by(name, options or SourceOptions()))
            source.shards()
        except SourceUnavailable as unavailable:
            absent.append(unavailable)
        else:
            sources.append(source)
    return Detected(tuple(sources), tuple(absent))


_READS = {
    _NVML: frozenset({"xid_classes"}),
    "recording": frozenset({"recording", "beneath", "shards", "began"}),
    "synthetic": frozenset({"beneath", "shards", "began", "fleet", "faults", "seed"}),
}


def _read_by(name: str, options: SourceOptions) -> SourceOptions:
    """Return ``options`` without those that the source called ``name`` does not read."""
    return SourceOptions(**{option: getattr(options, option) for option in _READS[name]})


def _refuse_unread(name: str, options: SourceOptions) -> None:
    default = SourceOptions()
    for option in fields(SourceOptions):
        said = getattr(options, option.name) != getattr(default, option.name)
        if said and option.name not in _READS[name]:
            message = f"source {name!r} does not read {option.name!r}: leave it out"
            raise ValueError(message)


def _nvml(options: SourceOptions) -> CounterSource:
    try:
        from .nvidia.devices import NvmlSource  # noqa: PLC0415 - needs the vendor's binding
        from .nvidia.watch import watch_xids  # noqa: PLC0415 - needs it too
    except ModuleNotFoundError as missing:
        reason = f"the module {missing.name} is not installed; install tessera[agent]"
        raise SourceUnavailable(_NVML, reason) from None
    return NvmlSource(watch_xids(options.xid_classes))


def _recording(options: SourceOptions) -> CounterSource:
    if options.recording is None:
        message = "source 'recording' has no folder to play: name one as 'recording'"
        raise ValueError(message)
    recording = read_recording(options.recording)
    source = RecordingSource(recording, _chosen(recording.topology, options))
    return PlayedSource(
        source,
        options.began or 0.0,
        metrics=recording.metrics,
        catalogue=recording.catalogue,
        interval=recording.interval,
    )


def _synthetic(options: SourceOptions) -> CounterSource:
    fleet = SyntheticFleet(options.fleet, options.seed, options.faults)
    source = SyntheticSource(fleet, _chosen(fleet.topology, options))
    return PlayedSource(
        source,
        options.began or 0.0,
        metrics=fleet.metrics,
        catalogue=default_catalogue(),
        interval=1.0,
    )


def _chosen(topology: Topology, options: SourceOptions) -> tuple[str, ...]:
    """Return the shards to serve, in graph order; raise ``ValueError`` for those not there."""
    node = options.beneath
    if node is not None and node not in topology:
        message = f"there is no node {node!r} in the topology: name one of its hosts or racks"
        raise ValueError(message)
    found = topology.shards if node is None else topology.members(node)
    if not found:
        message = f"there are no shards beneath {node!r}: name one of the hosts or racks"
        raise ValueError(message)
    for shard in options.shards:
        if shard not in found:
            place = "the topology" if node is None else f"what lies beneath {node!r}"
            message = f"there is no shard {shard!r} in {place}: name one that is there"
            raise ValueError(message)
    return tuple(shard for shard in found if not options.shards or shard in options.shards)


def _registry(**factories: Callable[[SourceOptions], CounterSource]) -> Registry[CounterSource]:
    made: Registry[CounterSource] = Registry("counter source")
    for name, factory in factories.items():
        made.add(name, factory)
    return made


_SOURCES = _registry(nvml=_nvml, recording=_recording, synthetic=_synthetic)
