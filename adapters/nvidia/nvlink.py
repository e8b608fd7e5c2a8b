"""The NVLink fields of one device, chosen by what it answers.

Apart, because the fifth generation counts in other fields than those before it, and no call says
of which generation a driver's answers are.
"""

from collections.abc import Sequence
from typing import Final

from .border import Handle
from .errors import UNSUPPORTED, NvmlFailed
from .field_batch import ALL_LINKS, FieldBatch, FieldId, FieldValue
from .fields import Field
from .units import MANY, bit_error_rate, from_kibi, same

MOST_LINKS: Final = 36  # of one device
TRAFFIC: Final = ("nvlink_tx_bytes_per_second", "nvlink_rx_bytes_per_second")
ERRORS: Final = (
    "nvlink_crc_errors",
    "nvlink_replays",
    "nvlink_recoveries",
    "nvlink_packet_errors",
    "nvlink_symbol_errors",
    "nvlink_symbol_error_ratio",
)
LINKS: Final = "nvlink_active_links"

_COUNT = FieldId(91)
_STATE: Final = 165  # of a link: 0 inactive, 1 active, 2 asleep, 3 closed to traffic
_UP: Final = (1, 2)
_LARGEST_CODE: Final = 0xFFFF  # of a bit error rate
_NEVER: Final = UNSUPPORTED | {2, 4}  # the field is newer than the driver; we are not allowed


def _all(*numbers: int) -> tuple[FieldId, ...]:
    return tuple(FieldId(number, ALL_LINKS) for number in numbers)


def _up(state: float) -> float:
    return float(state in _UP)


# The fifth generation counts bytes, those before it KiB.
_TRAFFIC_NEW = tuple(
    Field(metric, _all(number), same, MANY, rate=True)
    for metric, number in zip(TRAFFIC, (202, 204), strict=True)
)
_TRAFFIC_OLD = tuple(
    Field(metric, _all(number), from_kibi, MANY, rate=True)
    for metric, number in zip(TRAFFIC, (138, 139), strict=True)
)
_ERRORS_NEW = (
    # malformed, overrun, received bad, bad at the other end, other, local integrity, discarded
    Field("nvlink_packet_errors", _all(206, 207, 208, 209, 210, 211, 212), same, MANY),
    Field("nvlink_recoveries", _all(215), same, MANY),
    Field("nvlink_symbol_errors", _all(221), same, MANY),
    Field("nvlink_symbol_error_ratio", _all(222), bit_error_rate, _LARGEST_CODE),
)
_ERRORS_OLD = (
    Field("nvlink_crc_errors", (FieldId(38), FieldId(45)), same, MANY),
    Field("nvlink_replays", (FieldId(52),), same, MANY),
    Field("nvlink_recoveries", (FieldId(59),), same, MANY),
)


def chosen(device: Handle) -> tuple[Sequence[Field], Sequence[Field]]:
    """Return the fields of traffic, and those of errors and links, that ``device`` answers.

    Raises ``NvmlFailed`` for a lost device, and where it cannot be told now.
    """
    count = _link_count(device)
    if count == 0:
        return (), ()
    new, old = _answered(device, _ERRORS_NEW), _answered(device, _ERRORS_OLD)
    if new:
        traffic = _answered(device, _TRAFFIC_NEW) or _answered(device, _TRAFFIC_OLD)
    else:
        traffic = _answered(device, _TRAFFIC_OLD) or _answered(device, _TRAFFIC_NEW)
    states = tuple(FieldId(_STATE, link) for link in range(count))
    return traffic, (*(new or old), Field(LINKS, states, _up, 3))


def _link_count(device: Handle) -> int:
    (found,) = _asked(device, [_COUNT])
    return 0 if found.code else min(int(found.value), MOST_LINKS)


def _answered(device: Handle, fields: Sequence[Field]) -> tuple[Field, ...]:
    ids = [number for field in fields for number in field.ids]
    items = _asked(device, ids)
    said = {number for number, item in zip(ids, items, strict=True) if item.code == 0}
    return tuple(field for field in fields if said.issuperset(field.ids))


def _asked(device: Handle, ids: Sequence[FieldId]) -> Sequence[FieldValue]:
    """Return the answers, each a value or never to be had; raise ``NvmlFailed`` for any other."""
    try:
        items = FieldBatch(device, ids).ask()
    except NvmlFailed as failed:  # none of them could be read
        items = [FieldValue(failed.code)] * len(ids)
    for item in items:
        if item.code and item.code not in _NEVER:
            raise NvmlFailed(item.code)
    return items
