"""The parsers, each with the one error that it may raise and samples to begin from.

Apart from what makes the bytes, because two engines do that: random changes, and coverage.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.message import DecodeError

from tessera.adapters.catalogue import BadDocument, read_catalogue
from tessera.adapters.recording import BadRecording
from tessera.adapters.recording_read import read_recording, read_truth
from tessera.adapters.topology.model import BadTopology
from tessera.adapters.topology.static import read_topology
from tessera.agent.config import AgentSettings
from tessera.agent.journal import read_journal
from tessera.agent.packed import unpacked
from tessera.agent.salvage import salvaged
from tessera.agent.sealed import read_record
from tessera.agent.words import Words
from tessera.aggregator.config import AggregatorSettings
from tessera.lab.corpus import read_bundle
from tessera.proto import decode, decode_plan
from tessera.proto.baseline_file import BadBaseline, read_baseline
from tessera.proto.pack import BadMessage
from tessera.proto.past import check_past
from tessera.proto.schema import ingest
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
    yield Target("agent-settings", _file("a.toml", _agent_settings), (BadSettings,))
    yield Target("aggregator-settings", _file("a.toml", _aggregator_settings), (BadSettings,))
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


def _agent_settings(path: Path) -> object:
    return load(AgentSettings, flags={}, environ={}, file=path)


def _aggregator_settings(path: Path) -> object:
    return load(AggregatorSettings, flags={}, environ={}, file=path)


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
