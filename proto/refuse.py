"""What no message may hold, whatever message it is: texts, rungs, blocks and numbers.

Apart from decoding, because agents and the aggregator put the same bounds to everything that
comes in, also to the messages that are used as they are.
"""

import re
from collections.abc import Iterable
from math import inf, isnan
from typing import Final

import numpy as np
import numpy.typing as npt

from .messages import Float32s
from .pack import BadMessage, Where

LADDER: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600)  # rungs, in seconds
MOST_SHARDS: Final = 4096  # of a host
MOST_METRICS: Final = 512  # of a host
LONGEST_TEXT: Final = 512  # characters
MOST_EVIDENCE: Final = 1e6  # nats
LARGEST: Final = 2**63 - 1  # what a database holds
POSITIVE: Final = 5e-324  # the least number above 0
LAST_SECOND: Final = LARGEST // 10**9  # of Unix time in nanoseconds

_UNTELLABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # would break a line or a screen


def text(value: str, where: Where) -> str:
    """Return ``value`` if it is one line of at most 512 characters; raise ``BadMessage``."""
    if len(value) > LONGEST_TEXT:
        raise BadMessage(where, f"has {len(value)} characters, more than {LONGEST_TEXT}")
    if _UNTELLABLE.search(value):
        raise BadMessage(where, f"{value!r:.60} holds a control character")
    return value


def name(value: str, where: Where) -> str:
    """Return ``value`` if it is a text and not empty; raise ``BadMessage``."""
    if not value:
        raise BadMessage(where, "is empty")
    return text(value, where)


def each_once(values: Iterable[str | int], where: Where) -> None:
    """Raise ``BadMessage`` naming the first of ``values`` that was there before."""
    seen: set[str | int] = set()
    for value in values:
        if value in seen:
            raise BadMessage(where, f"has {value!r:.80} twice")
        seen.add(value)


def rung(value: int, where: Where) -> int:
    """Return ``value`` if it is a block length of the ladder, in seconds; raise ``BadMessage``."""
    if value not in LADDER:
        raise BadMessage(where, f"{value} s is none of {', '.join(map(str, LADDER))}")
    return value


def block(value: int, length: int, where: Where) -> int:
    """Return ``value`` if it is the number of a block of ``length`` s; raise ``BadMessage``."""
    if not 0 <= value <= LAST_SECOND // length:
        raise BadMessage(where, f"{value} is no block of {length} s")
    return value


def whole(value: int, where: Where) -> int:
    """Return ``value`` if it is in [0, 2⁶³); raise ``BadMessage``."""
    if not 0 <= value <= LARGEST:
        raise BadMessage(where, f"{value} is not between 0 and {LARGEST}")
    return value


def number(
    value: float, where: Where, least: float, below: float = inf, *, unknown: bool = False
) -> float:
    """Return ``value`` if it is in [``least``, ``below``), or NaN where that means ``unknown``.

    Raises ``BadMessage``.
    """
    if not (least <= value < below or (unknown and isnan(value))):
        raise BadMessage(where, f"{value:g} is not in [{least:g}, {below:g})")
    return value


def infinite(values: npt.NDArray[np.floating], where: Where) -> None:
    """Raise ``BadMessage`` if ``values`` holds an infinity; NaN passes."""
    wrong = np.isinf(values)
    if wrong.any():
        raise BadMessage(where, f"is infinite at {_first(wrong)}")


def evidence(values: Float32s, where: Where) -> None:
    """Raise ``BadMessage`` if a log M is above a million nats; NaN and −∞ pass."""
    wrong = values > MOST_EVIDENCE
    if wrong.any():
        raise BadMessage(where, f"claims {values[wrong][0]:g} nats at {_first(wrong)}")


def outside(values: npt.NDArray[np.integer], most: int, where: Where) -> None:
    """Raise ``BadMessage`` if one of ``values`` is not in [−1, ``most``]; −1 means none."""
    wrong = (values < -1) | (values > most)
    if wrong.any():
        raise BadMessage(where, f"is {values[wrong][0]} at {_first(wrong)}")


def _first(wrong: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(wrong)[0])
