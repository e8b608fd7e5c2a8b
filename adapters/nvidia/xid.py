"""Which of the driver's error codes (XIDs) accuse the hardware: a table with a site's overlay.

Apart, because what a code means is data that a site may know better than we do.
"""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from ..document import BadDocument

XidClass: TypeAlias = Literal["hardware", "application", "ambiguous"]

GRADED: Final = frozenset(range(144, 151))  # NVLink codes whose message says Fatal or Nonfatal
MOST: Final = 9999  # the largest code believed; the driver's own end near 200

_CLASSES: Final[tuple[XidClass, ...]] = get_args(XidClass)
_TABLE: Final = "xid.csv"  # beside this file
_UNKNOWN: Final = "a code that this table does not know"


@dataclass(frozen=True, slots=True)
class Xids:
    """Class and text of each known code; ``said`` are those whose class an operator has set."""

    classes: Mapping[int, XidClass]
    texts: Mapping[int, str]
    said: frozenset[int] = frozenset()

    def of(self, code: int, *, fatal: bool | None = None) -> XidClass:
        """Return the class of ``code``: of an unknown one, ambiguous.

        ``fatal`` is what the message of one in ``GRADED`` says, None where nobody saw it. An
        operator's word comes before it.
        """
        if fatal and code in GRADED and code not in self.said:
            return "hardware"
        return self.classes.get(code, "ambiguous")

    def text(self, code: int) -> str:
        """Return a few words on ``code`` for a person."""
        return self.texts.get(code, _UNKNOWN)


@cache
def shipped() -> Xids:
    """Return the table as shipped: 0 to 172, from what NVIDIA and operators have published."""
    table = Path(__file__).with_name(_TABLE).read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    return Xids(
        MappingProxyType({int(row["xid"]): _class(row["class"]) for row in rows}),
        MappingProxyType({int(row["xid"]): row["text"] for row in rows}),
    )


def read_xids(overlay: Path | None = None) -> Xids:
    """Return the shipped table with the classes in the TOML file ``overlay`` laid over it.

    The file holds one table: ``[class]``, with lines such as ``45 = "application"``. Raises
    ``BadDocument``, one line, for any other.
    """
    if overlay is None:
        return shipped()
    said = {
        _code(overlay.name, name): _named(overlay.name, name, value)
        for name, value in _lines(overlay).items()
    }
    table = shipped()
    return replace(table, classes=MappingProxyType({**table.classes, **said}), said=frozenset(said))


def classify(code: int) -> XidClass:
    """Return the class of ``code`` in the table as shipped."""
    return shipped().of(code)


def _class(text: str) -> XidClass:
    for known in _CLASSES:
        if text == known:
            return known
    message = f"{text!r} is no class of XIDs: {', '.join(_CLASSES)}"
    raise ValueError(message)


def _lines(overlay: Path) -> Mapping[str, object]:
    try:
        found = tomllib.loads(overlay.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        what = f"cannot be read ({(fault.strerror or 'unknown reason').lower()})"
        raise BadDocument(overlay.name, None, what, f"put a file at {overlay}") from None
    except UnicodeDecodeError:
        raise BadDocument(overlay.name, None, "is not UTF-8 text", "write it as UTF-8") from None
    except tomllib.TOMLDecodeError as fault:
        raise BadDocument(overlay.name, None, f"is not TOML ({fault})", "correct it") from None
    except (ValueError, RecursionError):  # integers of thousands of digits, depths of thousands
        raise BadDocument(overlay.name, None, "is no list of classes", _SHAPE) from None
    others = sorted(set(found) - {"class"})
    if others:
        what = f"{others[0]!r:.40} is no table of this file"
        raise BadDocument(overlay.name, None, what, _SHAPE)
    lines = found.get("class", {})
    if not isinstance(lines, dict):
        raise BadDocument(overlay.name, None, "'class' is not a table", _SHAPE)
    return lines


_SHAPE = 'write [class] and beneath it lines such as 45 = "application"'


def _code(file: str, name: str) -> int:
    known = name.isascii() and name.isdecimal() and len(name) <= len(str(MOST))
    if not known:
        raise BadDocument(file, None, f"{name!r:.40} is no XID", f"write a number, 0 to {MOST}")
    return int(name)


def _named(file: str, name: str, value: object) -> XidClass:
    for known in _CLASSES:
        if value == known:
            return known
    what = f"XID {name} is given the class {value!r:.40}"
    raise BadDocument(file, None, what, f"write one of {', '.join(_CLASSES)}")
