"""Read one JSON document from a file, with faults that name the file, the line and the remedy.

Apart, because topologies and recordings both come as JSON and owe a person the same one line.
"""

import json
import re
from pathlib import Path
from typing import TypeGuard

_LARGEST = 1e300  # of a number: Python reads integers that no float can hold
# Control characters, line separators and lone surrogates: no line of text can tell them.
_UNTELLABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class BadDocument(ValueError):  # noqa: N818 - named for what it says
    """Say what is wrong in a file: ``file``, ``line`` (or None), ``what``, and ``todo``."""

    def __init__(self, file: str, line: int | None, what: str, todo: str) -> None:
        """Keep the four facts; the text is made of them when asked for."""
        super().__init__(file, line, what, todo)
        self.file = file
        self.line = line
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        """Return one line: file, line, what is wrong, what to do."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}; {self.todo}"


def read_document(path: Path) -> object:
    """Return the JSON value in ``path``; raise ``BadDocument`` if it is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadDocument(path.name, None, "is missing", f"put one into {path.parent}") from None
    except OSError as fault:
        what = f"cannot be read ({fault.strerror})"
        raise BadDocument(path.name, None, what, "make it a readable file") from None
    except UnicodeDecodeError:
        raise BadDocument(path.name, None, "is not UTF-8 text", "write it as UTF-8") from None
    except json.JSONDecodeError as fault:
        what = f"is not JSON ({fault.msg})"
        raise BadDocument(path.name, fault.lineno, what, "correct it there") from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        what = "holds an integer of thousands of digits"
        raise BadDocument(path.name, None, what, "write it shorter") from None
    except RecursionError:
        raise BadDocument(path.name, None, "is nested too deeply", "write it flat") from None


def is_number(value: object) -> TypeGuard[float]:
    """Say whether ``value`` is a finite number of at most 1e300; true and false are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= _LARGEST


def is_tellable(text: str) -> bool:
    """Say whether ``text`` fits into a line: no control character, no half of a character."""
    return _UNTELLABLE.search(text) is None
