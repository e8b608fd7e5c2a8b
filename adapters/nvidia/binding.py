"""The calls of NVML that Tessera makes, typed, each raising ``NvmlFailed`` with the library's code.

Apart, because the vendor's binding has no types and its exceptions stop here. It is the only
file that calls the binding, and it holds no call that sets or clears anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import NewType, ParamSpec, TypeVar

import pynvml  # type: ignore[import-untyped]  # it ships no types: this file gives them

from .errors import FUNCTION_NOT_FOUND, UNKNOWN_VALUE_TYPE, NvmlFailed

Handle = NewType("Handle", object)
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by value type


@dataclass(frozen=True, slots=True)
class FieldValue:
    """The answer for one field: its ``value`` in the vendor's unit if ``code`` is 0."""

    code: int
    value: float = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a device in bytes."""

    used: int
    total: int


def _at_the_border(call: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    @wraps(call)
    def told(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            return call(*args, **kwargs)
        except pynvml.NVMLError as error:
            code = int(error.value)  # pyright: ignore[reportAttributeAccessIssue]  # set by __new__
            raise NvmlFailed(code) from None

    return told


@_at_the_border
def initialise() -> None:
    """Load the library if need be and start it; pairs with ``shut_down``."""
    pynvml.nvmlInit()


@_at_the_border
def shut_down() -> None:
    """Stop the library; every handle is void afterwards. It stays loaded."""
    pynvml.nvmlShutdown()


@_at_the_border
def device_count() -> int:
    """Return how many devices the library knows."""
    return int(pynvml.nvmlDeviceGetCount())


@_at_the_border
def handle_at(index: int) -> Handle:
    """Return the device at ``index``; indices are not stable from start to start."""
    return Handle(pynvml.nvmlDeviceGetHandleByIndex(index))


@_at_the_border
def handle_of(uuid: str) -> Handle:
    """Return the device whose UUID is ``uuid``."""
    return Handle(pynvml.nvmlDeviceGetHandleByUUID(uuid))


@_at_the_border
def uuid_of(device: Handle) -> str:
    """Return the UUID, the name under which a device is known everywhere."""
    return str(pynvml.nvmlDeviceGetUUID(device))


@_at_the_border
def product_of(device: Handle) -> str:
    """Return the name of the product."""
    return str(pynvml.nvmlDeviceGetName(device))


@_at_the_border
def temperature(device: Handle) -> int:
    """Return °C by the call that newer drivers keep."""
    ask = getattr(pynvml, "nvmlDeviceGetTemperatureV", None)
    if ask is None:  # older bindings lack it
        raise NvmlFailed(FUNCTION_NOT_FOUND)
    return int(ask(device, pynvml.NVML_TEMPERATURE_GPU))


@_at_the_border
def temperature_as_before(device: Handle) -> int:
    """Return °C by the call that every driver up to CUDA 13 has."""
    return int(pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU))


@_at_the_border
def power(device: Handle) -> int:
    """Return milliwatts: a mean over one second, or of the instant on older parts."""
    return int(pynvml.nvmlDeviceGetPowerUsage(device))


@_at_the_border
def sm_clock(device: Handle) -> int:
    """Return MHz."""
    return int(pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM))


@_at_the_border
def memory_clock(device: Handle) -> int:
    """Return MHz."""
    return int(pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_MEM))


@_at_the_border
def utilization(device: Handle) -> int:
    """Return the per cent of time in which any kernel ran; not served under MIG."""
    return int(pynvml.nvmlDeviceGetUtilizationRates(device).gpu)


@_at_the_border
def memory(device: Handle) -> Memory:
    """Return the memory in use, what the driver reserves for itself not included."""
    found = pynvml.nvmlDeviceGetMemoryInfo(device, version=pynvml.nvmlMemory_v2)
    return Memory(int(found.used), int(found.total))


@_at_the_border
def memory_as_before(device: Handle) -> Memory:
    """Return the memory in use, the driver's share included: all that older drivers tell."""
    found = pynvml.nvmlDeviceGetMemoryInfo(device)
    return Memory(int(found.used), int(found.total))


@_at_the_border
def clocks_event_reasons(device: Handle) -> int:
    """Return why clocks are held down now: bits 1 idle … 0x40 hardware thermal, 0x80 brake."""
    return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(device))


@_at_the_border
def fields(device: Handle, ids: Sequence[int]) -> tuple[FieldValue, ...]:
    """Return the values of the fields ``ids`` in one call, each with its own code."""
    found = pynvml.nvmlDeviceGetFieldValues(device, list(ids))
    kinds = [(int(item.nvmlReturn), int(item.valueType), item.value) for item in found]
    return tuple(FieldValue(code) if code else _value(kind, union) for code, kind, union in kinds)


def _value(kind: int, union: object) -> FieldValue:
    if not 0 <= kind < len(_MEMBERS):
        return FieldValue(UNKNOWN_VALUE_TYPE)
    return FieldValue(0, getattr(union, _MEMBERS[kind]))
