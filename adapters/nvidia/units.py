"""From the vendor's units to base units, and the largest values that a device can have.

Apart, because calls and fields give the same quantities in the same units.
"""

from typing import Final

HOTTEST: Final = 150  # °C; parts switch off long before
STRONGEST: Final = 10_000_000  # mW
CENTURY: Final = 3_155_760_000 * 10**9  # nanoseconds
MANY: Final = 2.0**53  # counts beyond this are not exact as a float64
_NO_ERRORS: Final = 0xFFF  # of a bit error rate: the largest mantissa and exponent


def same(value: float) -> float:
    """Return ``value``, which is in base units."""
    return float(value)


def from_milli(value: float) -> float:
    """Return W of mW, J of mJ."""
    return value / 1e3


def from_nano(value: float) -> float:
    """Return s of ns."""
    return value / 1e9


def from_mega(value: float) -> float:
    """Return Hz of MHz."""
    return value * 1e6


def from_percent(value: float) -> float:
    """Return a ratio."""
    return value / 100


def from_kibi(value: float) -> float:
    """Return B of KiB."""
    return value * 1024.0


def bit_error_rate(value: float) -> float:
    """Return errors per bit of NVLink's code: four bits of mantissa above eight of exponent."""
    code = int(value)
    return 0.0 if code & _NO_ERRORS == _NO_ERRORS else (code >> 8 & 0xF) * 10.0 ** -(code & 0xFF)
