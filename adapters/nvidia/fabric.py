"""What a device says of its NVLink fabric: whether it has come up, where it belongs, how it is.

Apart, because the numbers mislead: a place is valid only under three conditions, and of the two
bits for each trouble 2 is the good answer.
"""

from typing import Final

from .binding import FabricInfo

_STATES: Final = {0: "unsupported", 1: "not_started", 2: "in_progress", 3: "completed"}
_COMPLETED: Final = 3
_TROUBLES: Final = {  # by the place of their two bits
    0: "degraded_bandwidth",
    2: "route_recovery",
    4: "route_unhealthy",
    6: "access_timeout_recovery",
}
_PRESENT: Final = 1
_CONFIGURATION: Final = 8  # four bits from here
_RIGHT: Final = (0, 1)  # not said, none


def state_of(info: FabricInfo) -> str:
    """Return how far the fabric has come: completed, in_progress, not_started or unsupported."""
    return _STATES.get(info.state, str(info.state))


def place_of(info: FabricInfo) -> str:
    """Return ``uuid.clique``, alike for all devices of a partition, or "" where it is not valid."""
    if info.state != _COMPLETED or info.status != 0 or not any(info.cluster):
        return ""
    text = info.cluster.hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return f"{'-'.join(parts)}.{info.clique}"


def troubles_of(info: FabricInfo) -> tuple[str, ...] | None:
    """Return what is wrong with a fabric; 0xaa, as 0, is nothing. None: it has not come up."""
    if info.state != _COMPLETED:
        return None
    found = [name for at, name in _TROUBLES.items() if info.health >> at & 3 == _PRESENT]
    configuration = info.health >> _CONFIGURATION & 0xF
    if configuration not in _RIGHT:
        found.append(f"incorrect_configuration_{configuration}")
    return tuple(found)
