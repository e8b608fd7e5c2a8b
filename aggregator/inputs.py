"""Read the files that an aggregator is given: the topology, and what a site says of its metrics.

Apart from the program, because --check-config reads them too and serves nothing.
"""

import json
from pathlib import Path

from ..adapters.catalogue import BadMetric, Catalogue, default_catalogue
from ..adapters.topology.model import BadTopology, Topology
from ..adapters.topology.static import read_topology


class BadInput(Exception):  # noqa: N818  named for what it says
    """A file that cannot be used; its text is one line: file, what, what to do."""


def topology_of(path: Path | None) -> Topology:
    """Return the topology in the JSON file at ``path``, an empty one for None.

    Raises ``BadInput``.
    """
    if path is None:
        return Topology((), ())
    try:
        return read_topology(path)
    except BadTopology as bad:
        raise BadInput(str(bad)) from None


def catalogue_of(path: Path | None) -> Catalogue:
    """Return the catalogue with the overrides in the JSON file at ``path``; raise ``BadInput``."""
    shipped = default_catalogue()
    if path is None:
        return shipped
    try:
        return shipped.with_override(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as fault:
        message = f"{path}: cannot be read ({fault.strerror}); name a readable JSON file"
    except UnicodeDecodeError:
        message = f"{path}: is not UTF-8 text; write it as UTF-8"
    except BadMetric as bad:
        message = f"{path}: {bad}"
    except json.JSONDecodeError as bad:
        message = f"{path}:{bad.lineno}: is not JSON ({bad.msg}); correct it there"
    except (ValueError, RecursionError):
        message = f"{path}: is not JSON that can be read; write it shorter and flatter"
    raise BadInput(message)
