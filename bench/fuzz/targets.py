"""The parsers, each with the one error that it may raise and samples to begin from.

Apart from what makes the bytes, because two engines do that: random changes, and coverage.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from tempfile import TemporaryDirectory

from google.protobuf.message import DecodeError

from tessera.adapters.base import Shard
from tessera.adapters.catalogue import BadDocument, read_catalogue
from tessera.adapters.exposition import BadExposition, parse
from tessera.adapters.jobs import jobs_of
from tessera.adapters.kubernetes import pod_resources_pb2
from tessera.adapters.kubernetes.pod_resources import held_of
from tessera.adapters.linux.kmsg import parse as parse_record
from tessera.adapters.neuron import sysfs
from tessera.adapters.neuron.documents import Documents
from tessera.adapters.neuron.report import BadReport, parse_report
from tessera.adapters.neuron.tally import Tally
from tessera.adapters.nvidia.dcgm_facts import Conditions
from tessera.adapters.nvidia.dcgm_page import devices_of
from tessera.adapters.nvidia.dcgm_values import Values
from tessera.adapters.nvidia.nvrm import Reader
from tessera.adapters.nvidia.xid import classify, read_xids
from tessera.adapters.recording import BadRecording
from tessera.adapters.recording_read import read_recording, read_truth
from tessera.adapters.slurm import show
from tessera.adapters.slurm.hostlist import BadHostlist
from tessera.adapters.slurm.wiring import parse_wiring
from tessera.adapters.standing import Standing
from tessera.adapters.topology.model import BadTopology
from tessera.adapters.topology.static import read_topology
from tessera.adapters.tpu import tpu_metric_service_pb2
from tessera.adapters.tpu.ici import BadLink, parse_link
from tessera.adapters.tpu.placing import place
from tessera.adapters.tpu.plugin import shown_of
from tessera.adapters.tpu.runtime import DUTY_CYCLE, HBM_USED, Told, gauges_of
from tessera.agent import datagram
from tessera.agent.changes import FILE, Changes
from tessera.agent.config import AgentSettings
from tessera.agent.journal import read_journal
from tessera.agent.mailbox import Mailbox
from tessera.agent.packed import unpacked
from tessera.agent.salvage import salvaged
from tessera.agent.sealed import read_record
from tessera.agent.words import Words
from tessera.agent.workload import Workload
from tessera.aggregator.config import AggregatorSettings
from tessera.lab.corpus import read_bundle
from tessera.proto import decode, decode_plan
from tessera.proto.baseline_file import BadBaseline, read_baseline
from tessera.proto.pack import BadMessage
from tessera.proto.past import check_past
from tessera.proto.schema import ingest
from tessera.settings.certificate import NoCertificate, read_certificate
from tessera.settings.load import BadSettings, load

CORPUS = Path(__file__).with_name("corpus")
ROWS, COLUMNS = 3, 2

Parse = Callable[[bytes, Path], object]


@dataclass(frozen=True, slots=True)
class Target:
    """A parser: ``parse`` takes bytes and an empty folder, and raises nothing but ``refuses``."""

    name: str
    parse: Parse
    refuses: tuple[type[Exception], ...]

    @property
    def samples(self) -> tuple[bytes, ...]:
        """Return what its corpus holds, by name."""
        return tuple(p.read_bytes() for p in sorted((CORPUS / self.name).iterdir()))

    def feed(self, data: bytes, folder: Path) -> None:
        """Let it parse ``data``; its own error is an answer, another one is raised."""
        try:
            self.parse(data, folder)
        except self.refuses as refused:
            if not str(refused).strip() or "\n" in str(refused).strip():
                message = f"{self.name} refuses in no line or in several: {str(refused)!r}"
                raise AssertionError(message) from refused


def targets() -> dict[str, Target]:
    """Return all of them by name."""
    return {target.name: target for target in _all()}


def folder() -> TemporaryDirectory[str]:
    """Return a folder that goes when it is left."""
    return TemporaryDirectory(prefix="fuzz-")


def _all() -> Iterator[Target]:
    document = (BadDocument,)
    yield Target("catalogue", _file("metrics.json", read_catalogue), document)
    yield Target("topology", _file("topology.json", read_topology), (BadTopology, *document))
    yield Target("bundle", _file("bundle.json", read_bundle), (*document, ValueError))
    yield Target("readings", _recording("readings.csv"), (BadRecording,))
    yield Target("facts", _recording("facts.csv"), (BadRecording,))
    yield Target("events", _recording("events.json"), (BadRecording,))
    yield Target("truth", _recording("truth.json"), (BadRecording,))
    yield Target("journal", _file("journal", lambda p: list(read_journal(p))), (ValueError,))
    yield Target("salvage", lambda data, _: list(salvaged(data)), ())
    yield Target("sealed", lambda data, _: read_record(data), (ValueError,))
    yield Target("words", _words, ())
    yield Target("snapshot", lambda data, _: unpacked(data), (ValueError,))
    yield Target("baseline", lambda data, _: read_baseline(data), (BadBaseline,))
    yield Target("datagram", _datagram, (datagram.BadDatagram,))
    yield Target("identity", _identity, ())
    yield Target("agent-settings", _file("a.toml", _agent_settings), (BadSettings,))
    yield Target("aggregator-settings", _file("a.toml", _aggregator_settings), (BadSettings,))
    yield Target("dcgm-page", _dcgm_page, (BadExposition,))
    yield Target("tpu-plugin", _tpu_plugin, (BadExposition,))
    yield Target("tpu-runtime", _tpu_runtime, (DecodeError,))
    yield Target("ici-link", lambda data, _: parse_link(_text(data)), (BadLink,))
    yield Target("xid-classes", _file("xids.toml", read_xids), document)
    yield Target("kernel-log", _kernel_log, ())
    yield Target("certificate", _certificate, (NoCertificate,))
    yield Target("neuron-monitor", _neuron_monitor, (BadReport,))
    yield Target("neuron-files", _neuron_files, ())
    yield Target("pod-resources", _pod_resources, (DecodeError,))
    yield Target("slurm-json", _slurm_json, (show.BadShow, ValueError, RecursionError))
    yield Target("slurm-text", _slurm_text, (BadHostlist,))
    yield Target("from-agent", _from_agent, (BadMessage, DecodeError))
    yield Target("from-aggregator", _from_aggregator, (BadMessage, DecodeError))


def _file(name: str, read: Callable[[Path], object]) -> Parse:
    def parse(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return parse


def _recording(name: str) -> Parse:
    """Return the reader of a recording one file of which is the data; the others are sound."""

    def parse(data: bytes, folder: Path) -> object:
        for other in sorted((CORPUS / "recording").iterdir()):
            (folder / other.name).write_bytes(other.read_bytes())
        (folder / name).write_bytes(data)
        return read_truth(folder) if name == "truth.json" else read_recording(folder)

    return parse


def _words(data: bytes, folder: Path) -> object:
    (folder / "words-0000000001").write_bytes(data)
    words = Words(folder, 1 << 16)
    words.load(1)
    words.begin()
    words.say("fact", b"")
    words.close()
    (folder / "words-0000000002").unlink()
    return None


def _identity(data: bytes, folder: Path) -> object:
    """Take up what an agent knew of its host: whatever stands there, it counts or it does not."""
    (folder / FILE).write_bytes(data)
    workload = Workload(Mailbox(folder / "agent.sock"))
    changes = Changes([workload])
    changes.begin(folder, 0.0, "boot")
    workload.place([Shard("gpu-0", "gpu_shard")])
    return changes.look(0.0, {"nvml": {"driver": "550"}}, ("gpu-0",))


def _datagram(data: bytes, _folder: Path) -> object:
    return [datagram.parse(line) for line in datagram.lines(data)]


def _agent_settings(path: Path) -> object:
    return load(AgentSettings, flags={}, environ={}, file=path)


def _aggregator_settings(path: Path) -> object:
    return load(AggregatorSettings, flags={}, environ={}, file=path)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _dcgm_page(data: bytes, _folder: Path) -> object:
    """Read a page as the source does, to its readings and facts."""
    found: list[object] = []
    for device in devices_of(parse(_text(data)).samples):
        found += Values(device.id, Counter()).of(device)
        standing = Standing()
        Conditions(device.id, classify, standing).see(device, 0.0)
        found += standing.news()
    return found


def _tpu_plugin(data: bytes, _folder: Path) -> object:
    return shown_of(parse(_text(data)).samples)


def _tpu_runtime(data: bytes, _folder: Path) -> object:
    gauges = gauges_of(tpu_metric_service_pb2.MetricResponse.FromString(data))
    told = Told("answers", gauges={HBM_USED: gauges, DUTY_CYCLE: gauges})
    return place([told, told], chips=4, cores=2)


def _kernel_log(data: bytes, _folder: Path) -> object:
    reader = Reader()
    records = filter(None, map(parse_record, data.split(b"\n")))
    return [reader.read(line, 0.0) for record in records for line in record.lines]


def _certificate(data: bytes, _folder: Path) -> object:
    return read_certificate(DER_cert_to_PEM_cert(data).encode())


def _neuron_monitor(data: bytes, _folder: Path) -> object:
    """Read a stream as the source does, to its values."""
    tally = Tally()
    for at, document in enumerate(Documents().feed(data)):
        tally.take(parse_report(document), float(at))
    return tally.fresh()


def _neuron_files(data: bytes, _folder: Path) -> object:
    text = _text(data)
    return sysfs.parse_power(text), sysfs.parse_indices(text), sysfs.parse_components(text)


def _pod_resources(data: bytes, _folder: Path) -> object:
    listed = pod_resources_pb2.ListPodResourcesResponse.FromString(data)
    return jobs_of(tuple(held_of(listed, cores=8)), ("gpu-0", "gpu-1"))


def _slurm_json(data: bytes, _folder: Path) -> object:
    answer = json.loads(data)
    jobs = show.parse_jobs(answer)
    return show.parse_nodes(answer), jobs_of(show.held_by(jobs, "acc-07", whole=True), ("gpu-0",))


def _slurm_text(data: bytes, _folder: Path) -> object:
    text = _text(data)
    return show.parse_node_text(text), parse_wiring(text)


def _from_agent(data: bytes, _folder: Path) -> object:
    message = ingest.FromAgent.FromString(data)
    kind = message.WhichOneof("body")
    if kind == "inventory":
        return decode.inventory(message.inventory)
    if kind == "up1":
        return decode.up1(message.up1, "host-0", (ROWS, COLUMNS))
    if kind == "up2":
        return decode.up2(message.up2, "host-0", (ROWS, COLUMNS))
    if kind == "history":
        for block in message.history.blocks:
            check_past(block, (ROWS, COLUMNS))
    if kind == "raw_ticks":
        return decode.raw_ticks(message.raw_ticks)
    return None


def _from_aggregator(data: bytes, _folder: Path) -> object:
    message = ingest.FromAggregator.FromString(data)
    kind = message.WhichOneof("body")
    if kind == "plan":
        return decode_plan.plan(message.plan)
    if kind == "down":
        return decode.downs(message.down, (ROWS, COLUMNS))
    if kind == "freeze":
        return decode.freeze(message.freeze)
    return None
