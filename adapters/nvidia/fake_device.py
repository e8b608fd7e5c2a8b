"""A scripted NVIDIA device: its values in the vendor's units, and how it answers each call.

Apart from the library, because a test changes devices and never the library's book-keeping.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

OK = 0

_SM, _MEM = 1, 2  # clock types


@dataclass(frozen=True, slots=True)
class FakeField:
    """What the batched call says of one field: a ``value`` in member ``kind`` of its union."""

    value: float = 0
    kind: str = "ullVal"
    code: int = OK


def healthy_fields() -> dict[int, FakeField]:
    """Return the fields of a healthy device: 61 °C of memory, no errors, never throttled."""
    quiet = {number: FakeField() for number in (3, 4, 74, 76, 269, 270, 271)}
    return {82: FakeField(61, "uiVal"), **quiet}


@dataclass(slots=True)
class FakeDevice:
    """One device in the vendor's units (°C, mW, MHz, per cent, bytes); change it as time goes by.

    ``codes`` maps a function of the library to the code with which it fails on this device, and
    ``lost`` is the code with which all of them do (0: the device is there).
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
    fields: dict[int, FakeField] = field(default_factory=healthy_fields)
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


def _product(device: FakeDevice, out: Text, length: object) -> int:
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
    out.gpu, out.memory = device.utilization, 0
    return OK


def _memory(device: FakeDevice, out: _Memory) -> int:
    out.total = device.memory_total
    out.used = device.memory_used + device.memory_reserved
    out.free = max(0, out.total - out.used)
    return OK


def _memory_now(device: FakeDevice, out: _MemoryNow) -> int:
    out.total, out.used = device.memory_total, device.memory_used
    out.reserved = device.memory_reserved
    out.free = max(0, out.total - out.used - out.reserved)
    return OK


def _reasons(device: FakeDevice, out: Number) -> int:
    out.value = device.reasons
    return OK


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
