"""Expand Slurm's short form of many host names: ``gpu-[001-003,005],cpu[1-2]``.

Apart, because it comes in jobs, nodes and topologies alike, and a short text can mean millions.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Final

MOST: Final = 100_000  # names of one list

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_LONGEST = 12  # digits of a number


class BadHostlist(ValueError):  # noqa: N818 - named for what it says
    """Say in one line why a text is no list of hosts."""


def expand(text: str, most: int = MOST) -> list[str]:
    """Return the names in the order of ``text``, repeated ones too; raise ``BadHostlist``.

    Numbers keep their leading zeros; several brackets multiply, the last one turning fastest.
    """
    found: list[str] = []
    for part in _parts(text):
        names = [""]
        for piece in _pieces(part, most):
            names = [left + right for left, right in _pairs(names, piece, most)]
        found += names
        _limit(len(found), most)
    return found


def _pairs(names: list[str], piece: list[str], most: int) -> Iterator[tuple[str, str]]:
    _limit(len(names) * len(piece), most)
    return product(names, piece)


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between commas outside brackets."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth not in {0, 1}:
            raise _bad(text)
        if letter == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if depth:
        raise _bad(text)
    if text[start:].strip():
        yield text[start:].strip()


def _pieces(part: str, most: int) -> Iterator[list[str]]:
    at = 0
    for match in _BRACKETS.finditer(part):
        yield [part[at : match.start()]]
        yield [name for run in match[1].split(",") for name in _run(run.strip(), most)]
        at = match.end()
    rest = part[at:]
    if (at and rest) or not part or not rest.isprintable() or " " in rest:
        raise _bad(part)  # Slurm itself refuses what follows the last bracket
    yield [rest]


def _run(run: str, most: int) -> Iterator[str]:
    first, dash, last = run.partition("-")
    last = last if dash else first
    if not all(_is_number(end) for end in (first, last)) or int(last) < int(first):
        raise _bad(run)
    _limit(int(last) - int(first) + 1, most)
    return (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST


def _limit(count: int, most: int) -> None:
    if count > most:
        message = f"a list of hosts has {count} names; at most {most} are read"
        raise BadHostlist(message)


def _bad(text: str) -> BadHostlist:
    return BadHostlist(f"{text[:60]!r} is no list of hosts")
