"""What ``scontrol show topology`` says: switches, blocks and rings with the nodes beneath them.

Apart from nodes and jobs, because this text has hardly changed between releases, while their JSON
has with each.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from .hostlist import expand

Kind: TypeAlias = Literal["switch", "block", "aggregated_block", "ring"]

_KINDS: Final[dict[str, Kind]] = {
    "SwitchName": "switch",
    "BlockName": "block",
    "AggregatedBlock": "aggregated_block",
    "RingName": "ring",
}
_WORD = re.compile(r"(\w+)=(\S*)")
_MOST = 20_000  # lines


@dataclass(frozen=True, slots=True)
class Wired:
    """One line: what is called ``name``, its ``nodes`` and the ``switches`` beneath it.

    ``level`` is 0 next to the nodes, None for what is no switch; the nodes of a switch above are
    those of all beneath it. ``size`` is None where the release does not tell it.
    """

    kind: Kind
    name: str
    nodes: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    level: int | None = None
    size: int | None = None


def parse_wiring(text: str) -> tuple[Wired, ...]:
    """Return what each line says; raise ``BadHostlist`` for nodes that cannot be read.

    Lines of other kinds, tori among them, are passed over.
    """
    found: list[Wired] = []
    for line in text.splitlines()[:_MOST]:
        words = dict(_WORD.findall(line))
        first = next(iter(words), "")
        if first in _KINDS and words[first] and line[:1].strip():
            found.append(_wired(_KINDS[first], words[first], words))
    return tuple(found)


def _wired(kind: Kind, name: str, words: dict[str, str]) -> Wired:
    return Wired(
        kind,
        name,
        nodes=tuple(expand(words.get("Nodes", ""))),
        switches=tuple(expand(words.get("Switches", ""))),
        level=_number(words.get("Level", "")),
        size=_number(words.get("BlockSize", words.get("RingSize", ""))),
    )


def _number(text: str) -> int | None:
    return (
        int(text) if text.isascii() and text.isdecimal() and len(text) < len("1000000000") else None
    )
