"""What Slurm says of nodes and jobs, in each of the forms that its releases have had.

Apart from asking it, because the forms drift from release to release: a state is a text, a text
with flags beside it or a list; a number is a number or an object that may say that there is none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from ..document import is_number, is_tellable
from ..jobs import Held
from .hostlist import BadHostlist, expand

DOWN_STATES = frozenset({"DOWN", "FAIL", "ERROR", "POWERED_DOWN", "NOT_RESPONDING"})
DRAIN_STATES = frozenset({"DRAIN", "DRAINED", "DRAINING", "MAINTENANCE", "MAINT"})
HOLDING_STATES = frozenset({"RUNNING", "SUSPENDED"})

_NO_VALUES = frozenset({4294967294, 4294967295, -2, 18446744073709551614, 18446744073709551615})
_MARKS = "*~#!%$@^-+"  # behind a state: not responding, powered down, …
_MOST = 100_000  # nodes or jobs of one answer
_LONGEST = 500  # characters of a reason
_GRES = re.compile(r"(\w+)(?::(?:\(null\)|[^:(),]+))?:\d+\(IDX:([\d,-]+)\)", re.ASCII)
_WORD = re.compile(r"(?:^|\s)(NodeName|State)=(\S+)")
_REASON = re.compile(r"(?:^|\s)Reason=(.*?)(?:\s+\[[^\]]*\])?\s*$", re.MULTILINE)
_ACCELERATORS = frozenset({"gpu", "neuron", "tpu"})
_MOST_DEVICES = 1024  # of a node


class BadShow(ValueError):  # noqa: N818 - named for what it says
    """Say in one line why an answer of Slurm cannot be read."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node, its states and flags in capitals, and why it is in them, "" where nobody said.

    ``boot_time`` is Unix seconds, None where it is not known.
    """

    name: str
    states: frozenset[str]
    reason: str = ""
    boot_time: float | None = None

    @property
    def is_drained(self) -> bool:
        """Say whether somebody has taken it out of service, or is about to."""
        return bool(self.states & DRAIN_STATES)

    @property
    def is_down(self) -> bool:
        """Say whether Slurm cannot use it."""
        return bool(self.states & DOWN_STATES)


@dataclass(frozen=True, slots=True)
class Job:
    """A job, its states in capitals, the nodes it has and what it has of each, as Slurm writes it.

    ``gres`` has one text for each of ``nodes``, or none where nothing is counted.
    """

    id: int
    name: str
    states: frozenset[str]
    nodes: tuple[str, ...] = ()
    gres: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Say whether it holds its devices."""
        return bool(self.states & HOLDING_STATES)


def parse_nodes(document: object) -> tuple[Node, ...]:
    """Return the nodes of ``scontrol show nodes --json`` or ``sinfo --json``; raise ``BadShow``."""
    found = (_node(item) for item in _listed(document, "nodes"))
    return tuple(node for node in found if node is not None)


def parse_jobs(document: object) -> tuple[Job, ...]:
    """Return the jobs of ``squeue --json`` or ``scontrol show jobs --json``; raise ``BadShow``."""
    found = (_job(item) for item in _listed(document, "jobs"))
    return tuple(job for job in found if job is not None)


def parse_node_text(text: str) -> tuple[Node, ...]:
    """Return the nodes of ``scontrol show nodes``, with ``-o`` or without."""
    starts = [match.start() for match in re.finditer(r"(?:^|(?<=\s))NodeName=", text)][:_MOST]
    found: list[Node] = []
    for start, end in pairwise([*starts, len(text)]):
        block = text[start:end]
        words = dict(_WORD.findall(block))
        name, reason = words.get("NodeName", ""), _REASON.search(block)
        if name:
            states = _states(words.get("State", "").split("+"))
            found.append(Node(_line(name), states, _line(reason[1]) if reason else ""))
    return tuple(found)


def number_of(value: object) -> float | None:
    """Return a number in either form; None for one that is not set, inf for an infinite one."""
    if isinstance(value, dict):
        if value.get("infinite") is True:
            return inf
        return number_of(value.get("number")) if value.get("set") is True else None
    return float(value) if is_number(value) and value not in _NO_VALUES else None


def held_by(jobs: Sequence[Job], node: str, *, whole: bool = False) -> tuple[Held, ...]:
    """Return what ``jobs`` hold of ``node``: devices by their index.

    ``whole`` says that Slurm does not count this site's accelerators: a job without any has all.
    """
    return tuple(item for job in jobs if job.holds for item in _held(job, node, whole=whole))


def devices_of(gres: str) -> tuple[int, ...]:
    """Return the indices of the accelerators in ``gpu:h100:4(IDX:0-2,7)``."""
    found: list[int] = []
    for name, indices in _GRES.findall(gres):
        if name in _ACCELERATORS:
            found += _indices(indices)
    return tuple(dict.fromkeys(found))


def _held(job: Job, node: str, *, whole: bool) -> Iterator[Held]:
    if node not in job.nodes:
        return
    told = f"slurm-{job.id}"
    if len(job.gres) == len(job.nodes):
        for place, gres in zip(job.nodes, job.gres, strict=True):
            if place == node:
                yield from (Held(told, str(index)) for index in devices_of(gres))
    elif whole and not job.gres:
        yield Held(told, unit="host")


def _listed(document: object, key: str) -> list[object]:
    """Return the items of an answer, or of a list of them, or the one that stands alone."""
    if isinstance(document, list):
        return document[:_MOST]
    if not isinstance(document, dict):
        message = f"Slurm's answer is no object: ask it with --json for {key}"
        raise BadShow(message)
    items = document.get(key)
    if isinstance(items, list):
        return items[:_MOST]
    if key[:-1] + "_id" in document or "hostname" in document:
        return [document]
    message = f"Slurm's answer holds no list of {key}: ask it with --json for them"
    raise BadShow(message)


def _node(item: object) -> Node | None:
    if not isinstance(item, dict):
        return None
    name = _text(item.get("name")) or _text(item.get("hostname"))
    if not name:
        return None
    states = _states([*_words(item.get("state")), *_words(item.get("state_flags"))])
    return Node(name, states, _text(item.get("reason")), number_of(item.get("boot_time")) or None)


def _job(item: object) -> Job | None:
    if not isinstance(item, dict):
        return None
    number = number_of(item.get("job_id"))
    if number is None or not 0 < number < inf:
        return None
    states = _states([*_words(item.get("job_state")), *_words(item.get("state_flags"))])
    detail = item.get("gres_detail")
    gres = tuple(_text(one) for one in detail) if isinstance(detail, list) else ()
    return Job(int(number), _text(item.get("name")), states, _nodes(item.get("nodes")), gres)


def _nodes(value: object) -> tuple[str, ...]:
    try:
        return tuple(expand(_text(value)))
    except BadHostlist:
        return ()


def _states(words: Sequence[str]) -> frozenset[str]:
    return frozenset(word.strip().rstrip(_MARKS).upper() for word in words) - {""} | {
        "NOT_RESPONDING" for word in words if word.strip().endswith("*")
    }


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split("+")
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _indices(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        if all(end.isdecimal() and len(end) < len("99999") for end in ends):
            yield from range(int(ends[0]), min(int(ends[1]), _MOST_DEVICES - 1) + 1)


def _text(value: object) -> str:
    return _line(value) if isinstance(value, str) else ""


def _line(text: str) -> str:
    told = text.strip()[:_LONGEST]
    return told if is_tellable(told) else "".join(c if is_tellable(c) else "?" for c in told)
