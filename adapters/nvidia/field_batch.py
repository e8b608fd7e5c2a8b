"""Many fields of one device in one call of NVML, each with its own code.

Apart, because this is the call of every second: it is made on memory laid out once, and decoded
without the vendor's Python structures, which cost ten times the call.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

import pynvml  # type: ignore[import-untyped]  # it ships no types; only its layout is used

from .border import Handle, calls
from .errors import UNKNOWN, UNKNOWN_VALUE_TYPE

ALL_LINKS: Final = 0xFFFFFFFF  # the scope that sums over the links of a device


@dataclass(frozen=True, slots=True)
class FieldId:
    """The ``number`` of a field, and its ``scope``: a link where it has one, else 0."""

    number: int
    scope: int = 0


class FieldValue(NamedTuple):
    """The answer for one field: its ``value`` in the vendor's unit if ``code`` is 0.

    A tuple, because hundreds are made each second.
    """

    code: int
    value: float = 0


_ITEM = Struct("=24xIIQ")  # of nvmlFieldValue_t: the value's type, the code, the value's bytes
_RAW = Struct("=Q")
_UINT, _ULONG, _ULONGLONG = 1, 2, 3
_AS: dict[int, Callable[[bytes], float]] = {  # the other types of a value
    0: lambda raw: _first("=d", raw),
    4: lambda raw: _first("=q", raw),
    5: lambda raw: _first("=i", raw),
    6: lambda raw: _first("=H", raw),
}
_NO_VALUE = FieldValue(UNKNOWN_VALUE_TYPE)


class FieldBatch:
    """The fields ``wanted`` of ``device``, to be asked again and again."""

    def __init__(self, device: Handle, wanted: Sequence[FieldId]) -> None:
        """Lay out what the call reads and writes."""
        self._device = device
        self._items = (pynvml.c_nvmlFieldValue_t * len(wanted))()
        for item, field in zip(self._items, wanted, strict=True):
            item.fieldId, item.scopeId = field.number, field.scope
            item.nvmlReturn = UNKNOWN  # of an item that the library leaves out
        self._bytes = memoryview(self._items).cast("B")
        self._blank = bytes(self._bytes)
        self._count = ctypes.c_int32(len(wanted))
        self._reference = ctypes.byref(self._items)

    def ask(self) -> list[FieldValue]:
        """Return the answers in the order of the fields; raise ``NvmlFailed`` if there are none."""
        self._bytes[:] = self._blank
        _ask(self._device, self._count, self._reference)
        return [
            FieldValue(code) if code else _value(kind, raw)
            for kind, code, raw in _ITEM.iter_unpack(self._bytes)
        ]


@calls("nvmlDeviceGetFieldValues")
def _ask(device: Handle, count: ctypes.c_int32, items: object) -> None:
    # the binding's own function lays the memory out anew each time
    call = pynvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")  # noqa: SLF001 - see above
    pynvml._nvmlCheckReturn(call(device, count, items))  # noqa: SLF001 - raises the right class


def _value(kind: int, raw: int) -> FieldValue:
    if kind in {_ULONG, _ULONGLONG}:
        return FieldValue(0, raw)
    if kind == _UINT:
        return FieldValue(0, raw & 0xFFFFFFFF)
    read = _AS.get(kind)
    return _NO_VALUE if read is None else FieldValue(0, read(_RAW.pack(raw)))


def _first(layout: str, raw: bytes) -> float:
    found: float = Struct(layout).unpack_from(raw)[0]
    return found
