"""Read a topology from a JSON file and write one in a stable order.

Apart, because a file is one source of topology among several and its faults name the file.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from ..document import BadDocument, is_tellable, read_document
from .model import BadTopology, Edge, Node, Topology


class StaticTopologySource:
    """Serve the topology that a file holds, read afresh at each ``fetch``."""

    def __init__(self, path: Path, name: str = "static") -> None:
        """Keep where the file is; nothing is read before ``fetch``."""
        self.name = name
        self._path = path

    def fetch(self) -> Topology:
        """Return the topology in the file; raise ``BadTopology``."""
        return read_topology(self._path)


def read_topology(path: Path) -> Topology:
    """Return the topology in a JSON file; raise ``BadTopology``, which names file and place."""
    try:
        return topology_from(read_document(path))
    except BadTopology as bad:
        raise bad.within(path.name) from None
    except BadDocument as bad:
        where = "" if bad.line is None else f"line {bad.line}"
        raise BadTopology(where, bad.what, bad.todo, bad.file) from None


def topology_from(document: object) -> Topology:
    """Return the topology of a parsed document; raise ``BadTopology``, which names the place.

    ``nodes`` hold ``id``, ``kind`` and perhaps ``metadata`` and ``service_name`` (kept as
    metadata); ``edges`` hold ``from``, ``to`` and ``relationship``. Other keys are ignored.
    """
    if not isinstance(document, dict):
        where, todo = "document", 'write {"nodes": […], "edges": […]}'
        raise BadTopology(where, "is not an object", todo)
    nodes = [_node(entry, i) for i, entry in enumerate(_list(document, "nodes"), start=1)]
    edges = [_edge(entry, i) for i, entry in enumerate(_list(document, "edges"), start=1)]
    return Topology(tuple(nodes), tuple(edges))


def topology_text(topology: Topology) -> str:
    """Return the JSON text of ``topology``, one node or edge a line, in the order it holds them."""
    nodes = [_line(_node_document(node)) for node in topology.nodes]
    edges = [
        _line({"from": e.source, "to": e.target, "relationship": e.relationship})
        for e in topology.edges
    ]
    return f'{{"nodes": [\n{_block(nodes)}],\n"edges": [\n{_block(edges)}]}}\n'


def write_topology(topology: Topology, path: Path) -> None:
    """Write ``topology`` to ``path`` as JSON; the same topology gives the same bytes."""
    path.write_text(topology_text(topology), encoding="utf-8", newline="\n")


def _list(document: Mapping[str, object], key: str) -> list[object]:
    found = document.get(key)
    if not isinstance(found, list):
        raise BadTopology(key, "is not a list", f'give "{key}" a list of objects')
    return found


def _node(entry: object, number: int) -> Node:
    where = f"node {number}"
    if not isinstance(entry, dict):
        raise BadTopology(where, "is not an object", 'write {"id": …, "kind": …}')
    name, kind = _text(entry, "id", where), _text(entry, "kind", where)
    about = _metadata(entry.get("metadata"), f"node {number} ({name})")
    if isinstance(entry.get("service_name"), str):
        service = _tellable(entry["service_name"], "service_name", where)
        about.setdefault("service_name", service)
    return Node(name, kind, about)


def _edge(entry: object, number: int) -> Edge:
    where = f"edge {number}"
    if not isinstance(entry, dict):
        todo = 'write {"from": …, "to": …, "relationship": …}'
        raise BadTopology(where, "is not an object", todo)
    ends = _text(entry, "from", where), _text(entry, "to", where)
    return Edge(*ends, _text(entry, "relationship", where))


def _text(entry: Mapping[str, object], key: str, where: str) -> str:
    found = entry.get(key)
    if not isinstance(found, str) or not found:
        raise BadTopology(where, f"has no {key!r}", f"give it a {key!r} that is non-empty text")
    return _tellable(found, key, where)


def _tellable(text: str, key: str, where: str) -> str:
    if not is_tellable(text):
        what = f"its {key!r:.60} {text!r:.60} holds a control character or half a character"
        raise BadTopology(where, what, "write it as plain text")
    return text


def _metadata(found: object, where: str) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadTopology(where, "its metadata is not an object", "write text by name")
    about: dict[str, str] = {}
    for key, value in found.items():
        if isinstance(value, (dict, list)):
            raise BadTopology(where, f"its metadata {key!r} is not text", "write it as text")
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            about[_tellable(key, "metadata", where)] = _tellable(text, key, where)
    return about


def _node_document(node: Node) -> dict[str, object]:
    about = dict(sorted(node.metadata.items()))
    plain: dict[str, object] = {"id": node.id, "kind": node.kind}
    return plain | {"metadata": about} if about else plain


def _line(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False)


def _block(lines: list[str]) -> str:
    return ",\n".join(lines) + ("\n" if lines else "")
