"""A scripted NVIDIA device: its values in the vendor's units, and how it answers each call.

Apart from the library, because a test changes devices and never the library's book-keeping.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

OK = 0

_SM, _MEM = 1, 2  # clock types
_NOT_SUPPORTED = 3


@dataclass(frozen=True, slots=True)
class FakeField:
    """What the batched call says of one field: a ``value`` in member ``kind`` of its union."""

    value: float = 0
    kind: str = "ullVal"
    code: int = OK


ALL_LINKS, LINKS = 0xFFFFFFFF, 18
Fields = dict[int | tuple[int, int], FakeField]  # by number, or by number and scope


def healthy_fields() -> Fields:
    """Return the fields of a healthy Hopper device: no errors, never throttled, 18 links up."""
    quiet = (3, 4, 74, 76, 94, 142, 143, 144, 145, *range(173, 184), 230, 269, 270, 271)
    zero: Fields = {number: FakeField() for number in quiet}
    return {
        **zero,
        82: FakeField(61, "uiVal"),
        83: FakeField(5_000_000_123),
        190: FakeField(700_000, "uiVal"),
        197: FakeField(10**12),
        198: FakeField(2 * 10**12),
        **linked(),
    }


def linked() -> Fields:
    """Return the fields of NVLink up to the fourth generation."""
    errors: Fields = {number: FakeField() for number in (38, 45, 52, 59)}
    traffic: Fields = {(138, ALL_LINKS): FakeField(10**9), (139, ALL_LINKS): FakeField(2 * 10**9)}
    return {**_links_up(), **errors, **traffic}


def linked_anew() -> Fields:
    """Return the fields of NVLink of the fifth generation: bytes, other errors, no error seen."""
    errors: Fields = {(n, ALL_LINKS): FakeField() for n in range(206, 222)}
    traffic: Fields = {(202, ALL_LINKS): FakeField(10**12), (204, ALL_LINKS): FakeField(2 * 10**12)}
    return {**_links_up(), **errors, **traffic, (222, ALL_LINKS): FakeField(0xFFF)}


def _links_up() -> Fields:
    states: Fields = {(165, link): FakeField(1, "uiVal") for link in range(LINKS)}
    return {91: FakeField(LINKS, "uiVal"), **states}


@dataclass(frozen=True, slots=True)
class FakeFabric:
    """What the device says of its NVLink fabric, in the library's numbers; come up and well."""

    state: int = 3
    status: int = OK
    cluster: bytes = bytes(range(1, 17))
    clique: int = 7
    health: int = 0xAA


@dataclass(frozen=True, slots=True)
class FakeSlice:
    """One MIG slice, which answers for its memory (bytes) alone; ``code`` is what it fails with."""

    gpu_instance: int
    compute_instance: int = 0
    product: str = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    memory_total: int = 10 * 2**30
    memory_used: int = 4 * 2**30
    memory_reserved: int = 2**24
    code: int = OK


@dataclass(slots=True)
class FakeDevice:
    """One device in the vendor's units (°C, mW, MHz, per cent, bytes); change it as time goes by.

    ``codes`` maps a function of the library to the code with which it fails on this device, and
    ``lost`` is the code with which all of them do (0: the device is there). ``slices`` are those
    into which it is cut, by their places; None: it is not in MIG mode. ``activity`` are per cent
    by the number of the monitor's metric; None: it has no monitor.
    """

    uuid: str
    product: str = "NVIDIA H100 80GB HBM3"
    temperature: int = 54
    power: int = 612_345
    sm_clock: int = 1980
    memory_clock: int = 2619
    utilization: int = 97
    memory_total: int = 80 * 2**30
    memory_used: int = 60 * 2**30
    memory_reserved: int = 2**29
    reasons: int = 0
    pcie_width: int = 16
    pcie_generation: int = 5
    sram_ecc_corrected: int = 0
    vbios: str = "96.00.A5.00.03"
    inforom: str = "G520.0200.00.07"
    gsp_firmware: str = "575.57.08"
    power_cap: int = 700_000
    application_clocks: tuple[int, int] = (1980, 2619)
    ecc: bool = True
    position: tuple[str, int, int, int, int] | None = None  # chassis, slot, tray, host, module
    fabric: FakeFabric | None = field(default_factory=FakeFabric)
    slices: dict[int, FakeSlice] | None = None
    activity: dict[int, float] | None = field(default_factory=lambda: {2: 83.5, 5: 41.25, 10: 37.0})
    fields: Fields = field(default_factory=healthy_fields)
    codes: dict[str, int] = field(default_factory=dict)
    lost: int = OK


class Number(Protocol):
    """A number of the binding's, passed by value or to be filled."""

    value: int


class Text(Protocol):
    """A buffer of text of the binding's."""

    value: bytes


class _Utilization(Protocol):
    gpu: int
    memory: int


class _Temperature(Protocol):
    temperature: int


class _Memory(Protocol):
    total: int
    free: int
    used: int


class _MemoryNow(_Memory, Protocol):
    reserved: int


def _uuid(device: FakeDevice, out: Text, length: object) -> int:
    del length
    out.value = device.uuid.encode()
    return OK


def _product(device: FakeDevice | FakeSlice, out: Text, length: object) -> int:
    del length
    out.value = device.product.encode()
    return OK


def _temperature(device: FakeDevice, out: _Temperature) -> int:
    out.temperature = device.temperature
    return OK


def _temperature_as_before(device: FakeDevice, sensor: object, out: Number) -> int:
    del sensor
    out.value = device.temperature
    return OK


def _power(device: FakeDevice, out: Number) -> int:
    out.value = device.power
    return OK


def _clock(device: FakeDevice, kind: Number, out: Number) -> int:
    out.value = {_SM: device.sm_clock, _MEM: device.memory_clock}[kind.value]
    return OK


def _utilization(device: FakeDevice, out: _Utilization) -> int:
    if device.slices is not None:
        return _NOT_SUPPORTED
    out.gpu, out.memory = device.utilization, 0
    return OK


def _memory(device: FakeDevice | FakeSlice, out: _Memory) -> int:
    out.total = device.memory_total
    out.used = device.memory_used + device.memory_reserved
    out.free = max(0, out.total - out.used)
    return OK


def _memory_now(device: FakeDevice | FakeSlice, out: _MemoryNow) -> int:
    out.total, out.used = device.memory_total, device.memory_used
    out.reserved = device.memory_reserved
    out.free = max(0, out.total - out.used - out.reserved)
    return OK


def _gpu_instance(device: FakeSlice, out: Number) -> int:
    out.value = device.gpu_instance
    return OK


def _compute_instance(device: FakeSlice, out: Number) -> int:
    out.value = device.compute_instance
    return OK


def _reasons(device: FakeDevice, out: Number) -> int:
    out.value = device.reasons
    return OK


SLICE_CALLS: dict[str, Callable[..., int]] = {
    "nvmlDeviceGetName": _product,
    "nvmlDeviceGetMemoryInfo_v2": _memory_now,
    "nvmlDeviceGetMemoryInfo": _memory,
    "nvmlDeviceGetGpuInstanceId": _gpu_instance,
    "nvmlDeviceGetComputeInstanceId": _compute_instance,
}
CALLS: dict[str, Callable[..., int]] = {
    "nvmlDeviceGetUUID": _uuid,
    "nvmlDeviceGetName": _product,
    "nvmlDeviceGetTemperatureV": _temperature,
    "nvmlDeviceGetTemperature": _temperature_as_before,
    "nvmlDeviceGetPowerUsage": _power,
    "nvmlDeviceGetClockInfo": _clock,
    "nvmlDeviceGetUtilizationRates": _utilization,
    "nvmlDeviceGetMemoryInfo_v2": _memory_now,
    "nvmlDeviceGetMemoryInfo": _memory,
    "nvmlDeviceGetCurrentClocksEventReasons": _reasons,
}
