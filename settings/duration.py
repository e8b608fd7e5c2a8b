"""Durations as people write them: 90, 90s, 15m, 2h, 1d.

Apart, because every command that takes one must take the same words.
"""

import re
from typing import Final

UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_FORM: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([smhd]?)", re.ASCII)


def seconds_of(text: str) -> float:
    """Return the seconds that ``text`` says; raise ``ValueError``: its text says what to write."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        message = f"'{text:.40}' is no duration; write it like 90s, 15m or 2h"
        raise ValueError(message)
    return float(found[1]) * UNITS[found[2]]


def duration(seconds: float) -> str:
    """Return ``seconds`` as a person would say them: 15 min, 90 s, 2 h."""
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"
