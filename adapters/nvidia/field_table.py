"""Which fields of the library make which metrics, each second and each ten.

Apart, because it is data: vendors add fields, and a person compares this with their header.
NVLink is apart as well: which of its fields count depends on the device.
"""

from typing import Final

from .field_batch import FieldId
from .fields import Field
from .units import CENTURY, HOTTEST, MANY, STRONGEST, from_milli, from_nano, same


def _counter(metric: str, *numbers: int) -> Field:
    """Return running totals since the driver was loaded, added up."""
    return Field(metric, tuple(map(FieldId, numbers)), same, MANY)


def _bytes(metric: str, number: int) -> Field:
    return Field(metric, (FieldId(number),), same, MANY, rate=True)


def _throttled(reason: str, number: int) -> Field:
    metric = f"throttled_{reason}_seconds_total"
    return Field(metric, (FieldId(number),), from_nano, CENTURY)


FIELDS: Final = (
    Field("memory_temperature_celsius", (FieldId(82),), same, HOTTEST),
    Field("energy_joules_total", (FieldId(83),), from_milli, MANY),
    _throttled("power_cap", 74),
    _throttled("sync_boost", 76),
    _throttled("software_thermal", 269),
    _throttled("hardware_thermal", 270),
    _throttled("power_brake", 271),
    _bytes("pcie_tx_bytes_per_second", 197),
    _bytes("pcie_rx_bytes_per_second", 198),
)
SLOW_FIELDS: Final = (
    _counter("ecc_corrected", 3),
    _counter("ecc_uncorrected", 4),
    _counter("pages_retired", 29, 30),  # before Ampere; rows since
    _counter("row_remaps", 142, 143),
    Field("row_remap_failure", (FieldId(145),), same, 1),
    _counter("pcie_replays", 94),
    _counter("pcie_correctable_errors", 173),  # receiver errors, bad packets and lanes among them
    _counter("pcie_naks", 174, 177),
    _counter("pcie_uncorrected_errors", 179, 180),
    Field("power_cap_watts", (FieldId(190),), from_milli, STRONGEST),
    Field("recovery_action", (FieldId(230),), same, 1000),
)
