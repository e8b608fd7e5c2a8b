"""Read the files that an aggregator is given: topology, metrics, a baseline, certificates.

Apart from the program, because --check-config reads them too and serves nothing.
"""

from pathlib import Path

from ..adapters.catalogue import BadDocument, Catalogue, default_catalogue, read_catalogue
from ..adapters.topology.model import BadTopology, Topology
from ..adapters.topology.static import read_topology
from ..proto.baseline_file import BadBaseline, Baseline, load_baseline
from ..settings.clock import Clock
from ..settings.tls import Tls, server_tls
from .config import AggregatorSettings


class BadInput(Exception):  # noqa: N818  named for what it says
    """A file that cannot be used; its text is one line: file, what, what to do."""


def tls_of(settings: AggregatorSettings, clock: Clock) -> Tls | None:
    """Return what is served with, read and checked; None = plain text. Raises ``BadTls``."""
    return server_tls(settings.tls_cert, settings.tls_key, settings.tls_client_ca, clock)


def topology_of(path: Path | None) -> Topology:
    """Return the topology in the JSON file at ``path``, an empty one for None.

    Raises ``BadInput``.
    """
    if path is None:
        return Topology((), ())
    _refuse_missing(path, "topology")
    try:
        return read_topology(path)
    except BadTopology as bad:
        raise _bad(path, bad) from None


def catalogue_of(path: Path | None) -> Catalogue:
    """Return the catalogue with the overrides in the JSON file at ``path``; raise ``BadInput``."""
    if path is None:
        return default_catalogue()
    _refuse_missing(path, "metrics")
    try:
        return read_catalogue(path)
    except BadDocument as bad:
        raise _bad(path, bad) from None


def baseline_of(path: Path | None) -> tuple[Baseline | None, str]:
    """Return the baseline in the file at ``path``, and "" or why it is not used.

    Nothing is refused for it: without it every stream learns, which costs time and no truth.
    """
    if path is None:
        return None, ""
    try:
        return load_baseline(path), ""
    except BadBaseline as bad:
        return None, str(bad)


def _refuse_missing(path: Path, setting: str) -> None:
    if not path.exists():
        message = f"{path}: is missing; correct `{setting}`, or leave it out"
        raise BadInput(message)


def _bad(path: Path, why: Exception) -> BadInput:
    """Return the refusal of the file at ``path``; ``why`` begins with its name alone."""
    return BadInput(str(path) + str(why).removeprefix(path.name))
