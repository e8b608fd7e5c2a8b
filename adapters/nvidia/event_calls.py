"""The calls of NVML on events, typed: a set of devices that one thread waits on.

Apart from the other calls, because these are made in a thread of their own and one of them waits.
"""

import ctypes
from dataclasses import dataclass
from typing import Final, NewType, Protocol

import pynvml  # type: ignore[import-untyped]  # it ships no types: this file gives them

from .border import Handle, calls
from .errors import DOWN, LOST, NvmlFailed

EventSet = NewType("EventSet", object)

XID: Final = 0x8
DOUBLE_BIT: Final = 0x2
RETIREMENT_FAILED: Final = 0x800
POISON: Final = 0x1000
FATAL_POISON: Final = 0x2000
UNAVAILABLE: Final = 0x4000
RECOVERY: Final = 0x8000

GONE: Final = LOST | DOWN  # codes of a device or a library that does not answer

_ACTION, _ENERGY = 230, 83  # fields
_SMALL, _LONG = 1, 3  # value types: an unsigned integer of 32 and of 64 bits
_ALL = 0xFFFFFFFF  # as an instance: all of the device


@dataclass(frozen=True, slots=True)
class Seen:
    """One event: of which device (``pointer``, as ``pointer_of``), its kind and its number."""

    pointer: int
    kind: int
    code: int
    slice: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a device says of itself; None where it does not serve the field.

    ``action`` is the recovery that the driver asks for, 0 none; ``energy`` are the millijoules
    since its driver was loaded or it was reset.
    """

    action: int | None
    energy: int | None


@calls("nvmlInit")
def hold() -> None:
    """Keep the library started for this thread; pairs with ``let_go``."""
    pynvml.nvmlInit()


@calls("nvmlShutdown")
def let_go() -> None:
    """Let the library stop once nobody else holds it."""
    pynvml.nvmlShutdown()


@calls("nvmlDeviceGetCount")
def count() -> int:
    """Return how many devices there are."""
    return int(pynvml.nvmlDeviceGetCount())


@calls("nvmlDeviceGetHandleByIndex")
def device_at(index: int) -> Handle:
    """Return the device at ``index``."""
    return Handle(pynvml.nvmlDeviceGetHandleByIndex(index))


@calls("nvmlDeviceGetUUID")
def uuid_of(device: Handle) -> str:
    """Return the device's UUID."""
    return str(pynvml.nvmlDeviceGetUUID(device))


@calls("nvmlDeviceGetPciInfo")
def bus_of(device: Handle) -> str:
    """Return where the device is on the PCI bus, with a domain of eight digits."""
    found = pynvml.nvmlDeviceGetPciInfo(device).busId
    return found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)


def pointer_of(device: Handle) -> int:
    """Return by which number events name the device."""
    return ctypes.cast(device, ctypes.c_void_p).value or 0  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is a pointer of the binding's


@calls("nvmlDeviceGetSupportedEventTypes")
def supported(device: Handle) -> int:
    """Return the kinds of events that the device can tell, as bits."""
    return int(pynvml.nvmlDeviceGetSupportedEventTypes(device))


@calls("nvmlEventSetCreate")
def new_set() -> EventSet:
    """Return an empty set; only this thread may use it."""
    return EventSet(pynvml.nvmlEventSetCreate())


@calls("nvmlDeviceRegisterEvents")
def register(device: Handle, kinds: int, events: EventSet) -> None:
    """Let ``events`` hear of ``kinds`` (bits) from ``device``; only later ones are heard."""
    pynvml.nvmlDeviceRegisterEvents(device, kinds, events)


@calls("nvmlEventSetFree")
def free(events: EventSet) -> None:
    """Give the set back."""
    pynvml.nvmlEventSetFree(events)


@calls("nvmlEventSetWait_v2")
def wait(events: EventSet, milliseconds: int) -> Seen:
    """Return the next event; fails with 10 (timeout) when none comes."""
    found = pynvml.nvmlEventSetWait_v2(events, milliseconds)
    gpu, compute = int(found.gpuInstanceId), int(found.computeInstanceId)
    part = None if gpu == _ALL else (gpu, -1 if compute == _ALL else compute)
    return Seen(pointer_of(Handle(found.device)), int(found.eventType), int(found.eventData), part)


@calls("nvmlDeviceGetFieldValues")
def condition(device: Handle) -> Condition:
    """Return how the device is; fails where it does not answer."""
    items = tuple(pynvml.nvmlDeviceGetFieldValues(device, [_ACTION, _ENERGY]))
    for item in items:
        if item.nvmlReturn in GONE:
            raise NvmlFailed(int(item.nvmlReturn))
    action, energy = map(_whole, items)
    return Condition(action, energy)


class _Union(Protocol):
    uiVal: int  # noqa: N815 - the binding's name
    ullVal: int  # noqa: N815 - the binding's name


class _Item(Protocol):
    nvmlReturn: int  # noqa: N815 - the binding's name
    valueType: int  # noqa: N815 - the binding's name
    value: _Union


def _whole(item: _Item) -> int | None:
    if item.nvmlReturn:
        return None
    kind = int(item.valueType)
    if kind == _SMALL:
        return int(item.value.uiVal)
    return int(item.value.ullVal) if kind == _LONG else None
