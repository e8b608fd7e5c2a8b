"""One device as its readers know it: where readings are booked, refused and given up.

Apart, because calls, fields and activity of a device are read in different ways and must treat
values and codes alike.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ..base import Absent, Reading
from .border import Handle
from .errors import DOWN, LOST, Action, NvmlFailed, action_of, name_of

IMPOSSIBLE: Final = "impossible"  # the code of a value that no device can have
UNSUPPORTED: Final = Absent("unsupported")

_SENTINELS = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})  # "none" where a library has no code


@dataclass(slots=True)
class Rejected:
    """What was refused since the source was opened, over all devices, by (UUID, metric).

    ``values`` counts impossible ones, ``forbidden`` holds what we are not allowed to ask for.
    """

    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    forbidden: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Subject:
    """The device ``uuid`` under its ``handle``."""

    uuid: str
    handle: Handle
    rejected: Rejected

    def reading(self, metric: str, value: float | Absent) -> Reading:
        """Return a reading of this device."""
        return Reading(self.uuid, metric, value)

    def checked(
        self, metric: str, raw: float, convert: Callable[[float], float], most: float
    ) -> float | Absent:
        """Return ``raw`` in the base unit if a device can have it, in [0, ``most``]; count it."""
        if 0 <= raw <= most and raw not in _SENTINELS:
            return convert(raw)
        self.rejected.values[self.uuid, metric] += 1
        return Absent("error", IMPOSSIBLE)

    def absence(self, metric: str, code: int) -> Absent:
        """Return why there is no reading; unsupported means that it is never to be asked again.

        Raises ``NvmlFailed`` for a code by which the device or the library is gone.
        """
        if code in LOST or code in DOWN:
            raise NvmlFailed(code)
        action = action_of(code)
        if action is Action.NEVER_ASK:
            return UNSUPPORTED
        if action is Action.SAY_ONCE:
            self.rejected.forbidden.add((self.uuid, metric))
            return Absent("unsupported", name_of(code))
        return Absent("error", name_of(code))
