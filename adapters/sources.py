"""The sources of counters that settings can name, and which hardware this host has.

Apart, because a vendor's library is imported only when its source is asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from os import environ
from pathlib import Path

from .base import CounterSource, Reading, Shard, SourceUnavailable
from .catalogue import Catalogue, default_catalogue
from .neuron.monitor import COMMAND, Monitor
from .neuron.source import NeuronSource
from .patience import shards_of_source
from .recording_read import read_recording
from .recording_source import RecordingSource
from .registry import Registry
from .synthetic.faults import Fault
from .synthetic.fleet import FleetSpec, SyntheticFleet, SyntheticSource
from .topology.model import Topology

_NVML = "nvml"
_DCGM = "dcgm"
_NEURON = "neuron"
_TPU = "tpu"

HARDWARE = (_NVML, _DCGM, _NEURON, _TPU)  # in the order in which ``detect`` tries them
_INSTEAD = {_DCGM: _NVML}  # tried only where the other, which sees more, has nothing

_DIGITS = 6  # of a second; Unix time as a float64 knows no more, and sums of ticks differ beyond


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source may be told; those at their default were not said.

    ``recording`` is the folder to play. Of a recording or a synthetic fleet, ``beneath`` serves
    only the shards beneath that node of the topology and ``shards`` only those named; ``began`` is
    the Unix second at which their second 0 lies (agents that play one recording together must
    agree on it). ``fleet``, ``faults`` and ``seed`` make the synthetic fleet. ``neuron_monitor``
    is the command line that reports on Neuron devices, "" = the vendor's usual place.
    ``dcgm_url`` is dcgm-exporter's page ("" = its usual place), which changes each
    ``dcgm_interval`` seconds. ``tpu_ports`` are those of a TPU workload's metrics, "8431,8432",
    and ``tpu_plugin`` is the page of GKE's device plugin ("" = their usual places). ``host`` names
    devices that have no name of their own; any source may be told it. ``xid_classes`` is a TOML
    file of classes over the shipped ones.
    """

    recording: Path | None = None
    beneath: str | None = None
    shards: tuple[str, ...] = ()
    began: float | None = None
    xid_classes: Path | None = None
    fleet: FleetSpec = field(default_factory=FleetSpec)
    faults: tuple[Fault, ...] = ()
    seed: int = 1
    neuron_monitor: str = ""
    dcgm_url: str = ""
    dcgm_interval: float = 30.0
    tpu_ports: str = ""
    tpu_plugin: str = ""
    host: str = ""


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
    """Return the source called ``name``: nvml, dcgm, neuron, tpu, recording or synthetic.

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
        if _INSTEAD.get(name) in {source.name for source in sources}:
            continue
        try:
            source = open_source(name, _read_by(name, options or SourceOptions()))
            shards_of_source(source)
        except SourceUnavailable as unavailable:
            absent.append(unavailable)
        else:
            sources.append(source)
    return Detected(tuple(sources), tuple(absent))


_READS = {
    _NVML: frozenset({"xid_classes"}),
    _DCGM: frozenset({"dcgm_url", "dcgm_interval", "xid_classes"}),
    _NEURON: frozenset({"neuron_monitor", "host"}),
    _TPU: frozenset({"tpu_ports", "tpu_plugin", "host"}),
    "recording": frozenset({"recording", "beneath", "shards", "began"}),
    "synthetic": frozenset({"beneath", "shards", "began", "fleet", "faults", "seed"}),
}


def of_played(options: SourceOptions) -> SourceOptions:
    """Return ``options`` without those that hardware sources read."""
    default = SourceOptions()
    names = frozenset[str]().union(*(_READS[name] for name in HARDWARE))
    return replace(options, **{name: getattr(default, name) for name in names})


def _read_by(name: str, options: SourceOptions) -> SourceOptions:
    """Return ``options`` without those that the source called ``name`` does not read."""
    return SourceOptions(**{option: getattr(options, option) for option in _READS[name]})


def _refuse_unread(name: str, options: SourceOptions) -> None:
    default = SourceOptions()
    for option in fields(SourceOptions):
        said = getattr(options, option.name) != getattr(default, option.name)
        if said and option.name not in _READS[name] | {"host"}:
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


def _dcgm(options: SourceOptions) -> CounterSource:
    from .nvidia.dcgm import URL, DcgmSource  # noqa: PLC0415 - only where it is asked for
    from .nvidia.xid import read_xids  # noqa: PLC0415 - as the other

    classes = read_xids(options.xid_classes)
    return DcgmSource(options.dcgm_url or URL, options.dcgm_interval, classes.of)


def _neuron(options: SourceOptions) -> CounterSource:
    return NeuronSource(Monitor(options.neuron_monitor or COMMAND), host=options.host)


def _tpu(options: SourceOptions) -> CounterSource:
    from .tpu.plugin import URL  # noqa: PLC0415 - only where it is asked for
    from .tpu.runtime import ports_of  # noqa: PLC0415 - it needs the wire's library
    from .tpu.source import TpuSource  # noqa: PLC0415 - as the others

    ports = ports_of(options.tpu_ports or environ.get("TPU_RUNTIME_METRICS_PORTS", ""))
    page = options.tpu_plugin or URL
    return TpuSource(ports, page, host=options.host, environ=environ)


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


_SOURCES = _registry(
    nvml=_nvml, dcgm=_dcgm, neuron=_neuron, tpu=_tpu, recording=_recording, synthetic=_synthetic
)
