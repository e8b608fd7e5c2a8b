"""Find the shard that a program means by a number or a name of a device.

Apart, because launchers count devices in three ways, and a value laid on the wrong shard would be a
lie about two of them: what is not certain is nobody's.
"""

from collections.abc import Sequence
from typing import Final

SHORTEST: Final = 8  # characters of a name's beginning that may stand for it, as in CUDA


def shard_of(order: Sequence[str], device: str, among: Sequence[str] = ()) -> str | None:
    """Return the one of the shards ``order`` (the vendor's) that ``device`` means, or None.

    A number counts in ``among``, sorted as the host has them: those of a container or of a job; by
    default in all. "" is the only one there is. A name may be cut short as long as it is clear.
    """
    members = _members(order, among)
    if not device:
        return members[0] if len(members) == 1 else None
    if device.isascii() and device.isdecimal():
        number = int(device[:9])
        return members[number] if number < len(members) else None
    return _named(order, device)


def _members(order: Sequence[str], among: Sequence[str]) -> Sequence[str]:
    if not among:
        return order
    named = {shard_of(order, device) for device in among if device}
    return [shard for shard in order if shard in named]


def _named(order: Sequence[str], device: str) -> str | None:
    if device in order:
        return device
    found = [shard for shard in order if shard.startswith(device)]
    return found[0] if len(found) == 1 and len(device) >= SHORTEST else None
