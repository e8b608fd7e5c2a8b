"""DCGM's fields by number: their names over two generations, and the metric that each one is.

Apart, because it is a table: DCGM 4.6 renamed most names, and only the numbers stayed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

_MIB = 2.0**20
_HOTTEST = 150.0  # °C; parts switch off long before
_CENTURY = 3_155_760_000e9  # nanoseconds
_MANY = 2.0**53  # counts beyond this are not exact as a float64
_FASTEST = 1e13  # bytes per second of one device

# What a field that has no value holds: 64 and 32 bit integers and doubles, four reasons each. As
# floats all of the first are one number, and 2**63 - 14 is the smallest that becomes it.
_BLANK_LONG = 9.2233720368547e18
_BLANKS = frozenset({float(start + n) for start in (0x7FFFFFF0, 2**47) for n in range(4)})
_NONE = frozenset({float(0xFFFFFFFF)})  # an unsigned -1: utilisation without a device


@dataclass(frozen=True, slots=True)
class Field:
    """A field of one device: its ``id``, names old and new, and the ``metric`` that it makes.

    Times ``scale`` and divided by ``per`` (which is exact where a product would not be) a value is
    in the base unit; ``most`` is the largest, in the vendor's unit, that a device can have. "" as
    metric: read for another purpose.
    """

    id: int
    names: tuple[str, ...]
    metric: str = ""
    scale: float = 1.0
    most: float = _MANY
    per: float = 1.0
    how: Literal["one", "sum"] = "one"  # of the fields of one metric: the first found, or all

    def possible(self, value: float) -> bool:
        """Say whether a device can have the raw ``value``; a blank or NaN is none."""
        return 0 <= value <= self.most and not is_blank(value)


XID_ERRORS: Final = 230
ECC_UNCORRECTED: Final = (311, 313)  # since the driver was loaded; since the board was made
ROW_REMAP_FAILED: Final = 395
RECOVERY_ACTION: Final = 1523
POWER_LIMIT: Final = 160
EVENT_REASONS: Final = 112
UTILIZATION: Final = 203
PROFILED: Final = (1001, 1002, 1003, 1004, 1005)  # all of one profiling session


def is_blank(value: float) -> bool:
    """Say whether ``value`` is one that DCGM gives where it has none."""
    return value >= _BLANK_LONG or value in _BLANKS or value in _NONE


def _violation(number: int, what: str, reason: str) -> Field:
    metric = f"throttled_{reason}_seconds_total"
    return Field(number, (f"DCGM_FI_DEV_{what}_VIOLATION",), metric, 1.0, _CENTURY, per=1e9)


def _error(number: int, metric: str, old: str, new: str) -> Field:
    return Field(number, (f"DCGM_FI_DEV_{old}", f"DCGM_FI_DEV_{new}"), metric, how="sum")


def _active(number: int, old: str, new: str, metric: str = "") -> Field:
    return Field(number, (f"DCGM_FI_PROF_{old}", f"DCGM_FI_PROF_{new}"), metric, 1.0, 1.0)


def _moved(number: int, name: str, metric: str) -> Field:
    return Field(number, (f"DCGM_FI_PROF_{name}",), metric, 1.0, _FASTEST)


def _device(number: int, names: str, metric: str, scale: float, most: float) -> Field:
    found = tuple(f"DCGM_FI_DEV_{name}" for name in names.split())
    return Field(number, found, metric, scale, most)


def _per(field: Field, per: float) -> Field:
    return replace(field, per=per)


# Old names first. Of fields that make one metric by "one", the first that is there counts.
FIELDS: Final = (
    _device(100, "SM_CLOCK", "sm_clock_hertz", 1e6, 20_000),
    _device(101, "MEM_CLOCK", "memory_clock_hertz", 1e6, 40_000),
    _device(EVENT_REASONS, "CLOCK_THROTTLE_REASONS CLOCKS_EVENT_REASONS", "", 1.0, 2.0**32),
    _device(140, "MEMORY_TEMP MEMORY_TEMP_CELSIUS", "memory_temperature_celsius", 1.0, _HOTTEST),
    _device(150, "GPU_TEMP GPU_TEMP_CELSIUS", "temperature_celsius", 1.0, _HOTTEST),
    _device(155, "POWER_USAGE BOARD_POWER_WATTS", "power_watts", 1.0, 10_000),
    _per(_device(156, "TOTAL_ENERGY_CONSUMPTION", "energy_joules_total", 1.0, _MANY), 1e3),
    _device(POWER_LIMIT, "POWER_MGMT_LIMIT BOARD_POWER_LIMIT_REQUESTED_WATTS", "", 1.0, 10_000),
    _device(202, "PCIE_REPLAY_COUNTER PCIE_REPLAY_TOTAL", "pcie_replays", 1.0, _MANY),
    _per(_device(UTILIZATION, "GPU_UTIL GPU_UTIL_RATIO", "utilization_ratio", 1.0, 100), 100),
    _device(XID_ERRORS, "XID_ERRORS XID_ERROR", "", 1.0, 10_000),
    _violation(240, "POWER", "power_cap"),
    _violation(241, "THERMAL", "thermal"),
    _violation(242, "SYNC_BOOST", "sync_boost"),
    _violation(243, "BOARD_LIMIT", "board_limit"),
    _violation(245, "RELIABILITY", "reliability"),
    _device(252, "FB_USED", "memory_used_bytes", _MIB, 2.0**30),
    _device(310, "ECC_SBE_VOL_TOTAL", "ecc_corrected", 1.0, _MANY),
    _device(311, "ECC_DBE_VOL_TOTAL", "ecc_uncorrected", 1.0, _MANY),
    _device(312, "ECC_SBE_AGG_TOTAL", "ecc_corrected", 1.0, _MANY),
    _device(313, "ECC_DBE_AGG_TOTAL", "ecc_uncorrected", 1.0, _MANY),
    _error(393, "row_remaps", "UNCORRECTABLE_REMAPPED_ROWS", "ROW_REMAP_UNCORRECTABLE_TOTAL"),
    _error(394, "row_remaps", "CORRECTABLE_REMAPPED_ROWS", "ROW_REMAP_CORRECTABLE_TOTAL"),
    _device(ROW_REMAP_FAILED, "ROW_REMAP_FAILURE ROW_REMAP_FAILED", "row_remap_failure", 1.0, 1),
    _error(
        409,
        "nvlink_crc_errors",
        "NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
        "NVLINK_CRC_FLIT_ERROR_TOTAL",
    ),
    _error(
        419,
        "nvlink_crc_errors",
        "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
        "NVLINK_CRC_DATA_ERROR_TOTAL",
    ),
    _error(429, "nvlink_replays", "NVLINK_REPLAY_ERROR_COUNT_TOTAL", "NVLINK_REPLAY_ERROR_TOTAL"),
    _error(
        439,
        "nvlink_recoveries",
        "NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
        "NVLINK_RECOVERY_ERROR_TOTAL",
    ),
    _active(1001, "GR_ENGINE_ACTIVE", "GR_ENGINE_UTIL_RATIO"),
    _active(1002, "SM_ACTIVE", "SM_UTIL_RATIO", "sm_active_ratio"),
    _active(1003, "SM_OCCUPANCY", "SM_OCCUPANCY_RATIO"),
    _active(1004, "PIPE_TENSOR_ACTIVE", "TENSOR_UTIL_RATIO", "tensor_active_ratio"),
    _active(1005, "DRAM_ACTIVE", "DRAM_UTIL_RATIO", "dram_active_ratio"),
    _moved(1009, "PCIE_TX_BYTES", "pcie_tx_bytes_per_second"),
    _moved(1010, "PCIE_RX_BYTES", "pcie_rx_bytes_per_second"),
    _moved(1011, "NVLINK_TX_BYTES", "nvlink_tx_bytes_per_second"),
    _moved(1012, "NVLINK_RX_BYTES", "nvlink_rx_bytes_per_second"),
    _error(
        1213,
        "nvlink_recoveries",
        "NVLINK_COUNT_LINK_RECOVERY_EVENTS",
        "NVLINK_RECOVERY_EVENT_TOTAL",
    ),
    _error(
        1214,
        "nvlink_symbol_errors",
        "NVLINK_COUNT_RX_SYMBOL_ERRORS",
        "NVLINK_RX_SYMBOL_ERROR_TOTAL",
    ),
    _device(
        RECOVERY_ACTION, "GET_GPU_RECOVERY_ACTION GPU_RECOVERY_ACTION", "recovery_action", 1.0, 100
    ),
)

# Fields that an operator may have turned into labels: what the identity vector calls them.
LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DCGM_FI_DRIVER_VERSION": "driver",
        "DCGM_FI_SYSTEM_DRIVER_VERSION": "driver",
        "DCGM_FI_DEV_VBIOS_VERSION": "vbios",
        "DCGM_FI_DEV_INFOROM_IMAGE_VER": "inforom",
        "DCGM_FI_DEV_INFOROM_IMAGE_VERSION": "inforom",
    }
)

XID_COUNT: Final = "DCGM_EXP_XID_ERRORS_COUNT"  # of the exporter's own making, without a number


def _by_name(fields: Iterable[Field]) -> Mapping[str, Field]:
    return MappingProxyType({name: field for field in fields for name in field.names})


BY_NAME: Final = _by_name(FIELDS)
BY_ID: Final[Mapping[int, Field]] = MappingProxyType({field.id: field for field in FIELDS})
METRICS: Final = tuple(dict.fromkeys(field.metric for field in FIELDS if field.metric))
