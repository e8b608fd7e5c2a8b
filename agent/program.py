"""What the agent's commands share: their options, their settings and the sources they name.

Apart from the commands, so that each of them reads its settings in the same way.
"""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from ..adapters.base import CounterSource, SourceUnavailable
from ..adapters.patience import shards_of_source
from ..adapters.registry import UnknownName
from ..adapters.schedulers import open_jobs
from ..adapters.sources import HARDWARE, detect, of_played, open_source
from ..settings.environ import own_environ
from ..settings.load import BadSettings, load
from ..settings.refused import Refused
from .config import AgentSettings
from .machine import Machine
from .mailbox import Mailbox, socket_path
from .workload import Workload

Command = TypeVar("Command", bound=Callable[..., object])

_HELP = {
    "aggregator": "where the aggregator listens, HOST:PORT",
    "agent_http": "where /healthz and /metrics are served, HOST:PORT",
    "tls_ca": "PEM file of the authorities of the aggregator's certificate: use TLS",
    "tls_cert": "PEM file of this agent's own certificate",
    "tls_key": "PEM file of its key",
    "tls_server_name": "name in the aggregator's certificate, if not that of its address",
    "state_dir": "folder for all that is written",
    "socket": "unix socket for local programs; empty for none",
    "baseline": "file of what tessera curate-baseline learned, to start from",
    "host": "name of this host; default: the machine's id",
    "job": "job of all shards here, unless the source says",
    "role": "role of all shards here, unless the source says",
    "sku": "SKU of all shards here, in place of what the source says",
    "job_from": "who knows jobs: kubernetes, slurm or slurm-nodes; default: nobody is asked",
    "source": "auto, nvml, dcgm, neuron, tpu, recording or synthetic",
    "recording": "folder to play, for --source recording",
    "beneath": "serve only the shards beneath this node of the recording",
    "shards": "serve only these shards of the recording; may be repeated",
    "began": "Unix second at which the recording's second 0 lies; default: now",
    "neuron_monitor": "command line of neuron-monitor, if not in its vendor's place",
    "dcgm_url": "page of dcgm-exporter; default: http://127.0.0.1:9400/metrics",
    "dcgm_interval": "seconds between two collections of dcgm-exporter",
    "tpu_ports": "ports of a TPU workload's metrics, such as 8431,8432",
    "tpu_plugin": "page of the TPU device plugin; default: http://127.0.0.1:2112/metrics",
    "xid_classes": "TOML file that says which XIDs accuse the hardware, over ours",
    "scores": "made of ticks beside the mean: spread, oscillation, spike; may be repeated",
    "tick_seconds": "seconds between two ticks",
    "budget": "seconds that the sources have for a tick",
    "spool_bytes": "bytes on disk for what waits to be delivered; of too many the oldest go",
    "log_layout": "text or json",
    "log_level": "debug, info, warning or error",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The sources that the settings ask for, and the reasons of those that have nothing."""

    sources: tuple[CounterSource, ...]
    absent: tuple[SourceUnavailable, ...] = ()


def settings_options(command: Command) -> Command:
    """Give ``command`` one option for each setting, and ``--config``."""
    for key in reversed(list(AgentSettings.model_fields)):
        command = click.option(
            "--" + key.replace("_", "-"),
            key,
            multiple=key in {"shards", "scores"},
            default=None,
            metavar="VALUE",
            help=_HELP[key],
        )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE.toml",
        help="settings; flags and TESSERA_* variables come before it",
    )(command)


def read_settings(flags: Mapping[str, object]) -> tuple[AgentSettings, tuple[str, ...]]:
    """Return the settings and a line for each variable that no program knows; or refuse."""
    said = {key: value for key, value in flags.items() if value not in (None, ())}
    file = said.pop("config", None)
    mine, strange = own_environ("agent", os.environ)
    try:
        found = load(
            AgentSettings, flags=said, environ=mine, file=file if isinstance(file, Path) else None
        )
    except BadSettings as bad:
        raise Refused(str(bad)) from None
    return found, strange


def local_sources(settings: AgentSettings, folder: Path) -> tuple[CounterSource, ...]:
    """Return what a daemon that writes in ``folder`` reads of any host: itself and its programs."""
    path = socket_path(settings.socket, settings.state_dir, folder, os.environ)
    local: tuple[CounterSource, ...] = (Machine(),)
    if path is not None:
        local += (Workload(Mailbox(path)),)
    if settings.job_from:
        local += (open_jobs(settings.job_from, platform.node().partition(".")[0]),)
    return local


def find_sources(settings: AgentSettings, began: float) -> Found:
    """Return the sources that ``settings`` name, opened; or refuse.

    ``began`` is where a played source's second 0 lies unless the settings say so.
    """
    if settings.source == "auto":
        if of_played(settings.options) != AgentSettings().options:
            message = "recording, beneath, shards and began need a source: add --source recording"
            raise Refused(message)
        try:
            detected = detect(options=settings.options)
        except ValueError as bad:
            raise Refused(str(bad)) from None
        return Found(detected.sources, detected.absent)
    played = settings.source not in HARDWARE and settings.began is None
    wanted = settings.model_copy(update={"began": began}) if played else settings
    try:
        source = open_source(settings.source, wanted.options)
        shards_of_source(source)
    except SourceUnavailable as unavailable:
        return Found((), (unavailable,))
    except (UnknownName, ValueError, OSError) as bad:
        raise Refused(str(bad)) from None
    return Found((source,))
