"""The agent's settings: what a person may set, its bounds and its defaults.

Apart from the program, because tests and lock-step runs make settings without a command line.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ..adapters.metric import BESIDE, Score
from ..adapters.sources import SourceOptions
from ..proto.refuse import LONGEST_TEXT
from ..settings.address import SERVED, Address
from ..settings.load import Settings
from ..settings.logs import Layout, Level


def _one_line(text: str) -> str:
    """Return ``text`` if the aggregator will take it as a name; raise ``ValueError``."""
    if len(text) > LONGEST_TEXT:
        message = f"is too long; use at most {LONGEST_TEXT} characters"
        raise ValueError(message)
    if not text.isprintable():
        message = "is not printable; use one line without control characters"
        raise ValueError(message)
    return text


Name = Annotated[str, AfterValidator(_one_line)]


class AgentSettings(Settings):
    """What a person may set; times are seconds.

    ``host`` defaults to the machine's id, ``job``, ``role`` and ``sku`` to what the source says.
    ``job_from`` is a scheduler that is asked for jobs, see ``schedulers.open_jobs``.
    ``socket`` is where local programs speak to the agent: by default /run/tessera/agent.sock, or
    agent.sock in a ``state_dir`` that is named; "" for nowhere.
    ``source`` auto is the hardware that is found. ``recording``, ``beneath``, ``shards`` and
    ``began`` belong to the sources that are played. ``scores`` are made of ticks beside the mean,
    where a metric's row asks for them.
    """

    aggregator: Address = SERVED
    agent_http: Address = "127.0.0.1:9462"
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_server_name: Name = ""
    state_dir: Path | None = None
    socket: str | None = Field(default=None, max_length=100)
    baseline: Path | None = None
    host: Name = ""
    job: Name = ""
    role: Name = ""
    sku: Name = ""
    job_from: Literal["", "kubernetes", "slurm", "slurm-nodes"] = ""
    source: str = Field(default="auto", min_length=1, max_length=100)
    recording: Path | None = None
    beneath: str | None = None
    shards: tuple[str, ...] = ()
    began: float | None = None
    neuron_monitor: str = Field(default="", max_length=1000)
    dcgm_url: str = Field(default="", max_length=1000)
    dcgm_interval: float = Field(default=30.0, ge=1.0, le=600.0)
    tpu_ports: str = Field(default="", max_length=1000)
    tpu_plugin: str = Field(default="", max_length=1000)
    xid_classes: Path | None = None
    scores: tuple[Score, ...] = BESIDE
    tick_seconds: float = Field(default=1.0, ge=0.1, le=60.0)
    budget: float = Field(default=0.8, gt=0.0, le=60.0)
    spool_bytes: int = Field(default=64 << 20, ge=1 << 18, le=1 << 36)
    log_layout: Layout = "text"
    log_level: Level = "info"

    @property
    def options(self) -> SourceOptions:
        """Return what the source is told."""
        return SourceOptions(
            recording=self.recording,
            beneath=self.beneath,
            shards=self.shards,
            began=self.began,
            neuron_monitor=self.neuron_monitor,
            dcgm_url=self.dcgm_url,
            dcgm_interval=self.dcgm_interval,
            tpu_ports=self.tpu_ports,
            tpu_plugin=self.tpu_plugin,
            host=self.host,
            xid_classes=self.xid_classes,
        )
