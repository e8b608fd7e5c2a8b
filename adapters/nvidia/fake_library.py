"""A scripted library in place of the vendor's: the real binding runs on devices made of values.

Apart and shipped, because tests and demonstrations need NVIDIA devices on machines without one.
"""

import ctypes
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import pynvml  # type: ignore[import-untyped]  # it ships no types; only its module is touched

from .fake_device import CALLS, OK, SLICE_CALLS, FakeDevice, FakeField, FakeSlice, Number, Text
from .fake_gpm import FakeMonitor
from .fake_makeup import MAKEUP_CALLS

_UNINITIALIZED, _INVALID_ARGUMENT, _NOT_SUPPORTED, _NOT_FOUND = 1, 2, 3, 6

_TYPES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


class _Union(Protocol):
    ullVal: int  # noqa: N815 - the binding's name


class _Field(Protocol):
    fieldId: int  # noqa: N815 - the binding's name
    scopeId: int  # noqa: N815 - the binding's name
    nvmlReturn: int  # noqa: N815 - the binding's name
    valueType: int  # noqa: N815 - the binding's name
    value: _Union


class FakeLibrary:
    """Serve ``devices`` under the library's own function names.

    ``codes`` maps a function to the code with which it fails always; functions in ``missing`` do
    not exist. ``calls`` counts calls by function, and by (function, UUID) for those on a device;
    ``asked`` are the fields of the last batches, with the UUID. Of slices nothing is counted.
    """

    def __init__(
        self,
        devices: Sequence[FakeDevice] = (),
        codes: dict[str, int] | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        """Script the library; devices and codes may be changed while it is in use."""
        self.devices = list(devices)
        self.codes = codes or {}
        self.calls: Counter[str | tuple[str, str]] = Counter()
        self.driver = "575.57.08"
        self.monitor = FakeMonitor()
        self.asked: deque[tuple[str, tuple[int, ...]]] = deque(maxlen=_REMEMBERED)
        self._started = 0
        self._era = 0  # handles of an earlier start are void
        general: dict[str, Callable[..., int]] = {
            "nvmlInitWithFlags": self._start,
            "nvmlShutdown": self._stop,
            "nvmlDeviceGetCount_v2": self._count,
            "nvmlDeviceGetHandleByIndex_v2": self._by_index,
            "nvmlDeviceGetHandleByUUID": self._by_uuid,
            "nvmlSystemGetDriverVersion": self._driver,
            **self.monitor.general,
        }
        of_a_device = {
            **CALLS,
            **MAKEUP_CALLS,
            **SLICE_CALLS,
            **self.monitor.of_a_device,
            "nvmlDeviceGetFieldValues": self._fields,
            "nvmlDeviceGetMigDeviceHandleByIndex": self._slice,
        }
        self._general = {k: v for k, v in general.items() if k not in missing}
        self._of_a_device = {k: v for k, v in of_a_device.items() if k not in missing}

    @property
    def is_started(self) -> bool:
        """Say whether it was started more often than stopped."""
        return self._started > 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name in self._general:
            return partial(self._serve, name, self._general[name])
        if name in self._of_a_device:
            return partial(self._serve_device, name, self._of_a_device[name])
        raise AttributeError(name)

    def _serve(self, name: str, call: Callable[..., int], *arguments: object) -> int:
        self.calls[name] += 1
        if name in self.codes:
            return self.codes[name]
        if name != "nvmlInitWithFlags" and not self.is_started:
            return _UNINITIALIZED
        return call(*map(_target, arguments))

    def _serve_device(
        self, name: str, call: Callable[..., int], handle: object, *arguments: object
    ) -> int:
        return self._serve(name, partial(self._on_device, name, call, handle), *arguments)

    def _on_device(
        self, name: str, call: Callable[..., int], handle: object, *arguments: object
    ) -> int:
        era, rest = divmod(_handle(handle).value or 0, _ERA)
        place, number = divmod(rest, _MOST)
        if era != self._era or not 0 < number <= len(self.devices):
            return _INVALID_ARGUMENT
        device = self.devices[number - 1]
        if place:
            return device.lost or _on_a_slice(device, place - 1, name, *arguments)
        if name not in {**CALLS, **MAKEUP_CALLS} and name in SLICE_CALLS:
            return _NOT_SUPPORTED
        self.calls[name, device.uuid] += 1
        code = device.lost or device.codes.get(name, OK)
        return code or call(device, *arguments)

    def _start(self, flags: int) -> int:
        del flags
        self._era += not self.is_started
        self._started += 1
        return OK

    def _stop(self) -> int:
        self._started -= 1
        return OK

    def _driver(self, out: Text, length: object) -> int:
        del length
        out.value = self.driver.encode()
        return OK

    def _slice(self, device: FakeDevice, place: Number, out: object) -> int:
        if device.slices is None or place.value not in device.slices:
            return _NOT_FOUND
        number = self.devices.index(device) + 1
        _handle(out).value = self._era * _ERA + _MOST * (place.value + 1) + number
        return OK

    def _count(self, out: Number) -> int:
        out.value = len(self.devices)
        return OK

    def _by_index(self, index: Number, out: object) -> int:
        if index.value >= len(self.devices):
            return _INVALID_ARGUMENT
        return self._hand_out(index.value, out)

    def _by_uuid(self, uuid: Text, out: object) -> int:
        named = [n for n, device in enumerate(self.devices) if device.uuid.encode() == uuid.value]
        return self._hand_out(named[0], out) if named else _NOT_FOUND

    def _hand_out(self, number: int, out: object) -> int:
        if self.devices[number].lost:
            return self.devices[number].lost
        _handle(out).value = self._era * _ERA + number + 1
        return OK

    def _fields(self, device: FakeDevice, count: Number, out: Sequence[_Field]) -> int:
        items = [out[number] for number in range(count.value)]
        self.asked.append((device.uuid, tuple(item.fieldId for item in items)))
        for item in items:
            of_all = device.fields.get(item.fieldId, _UNSUPPORTED_FIELD)
            told = device.fields.get((item.fieldId, item.scopeId), of_all)
            item.nvmlReturn = told.code
            item.valueType = _TYPES.index(told.kind) if told.kind in _TYPES else len(_TYPES)
            if told.kind in _TYPES:
                item.value.ullVal = 2**64 - 1  # noise beside a shorter member
                setattr(item.value, told.kind, told.value)
        codes = [item.nvmlReturn for item in items]
        return OK if OK in codes else codes[0]  # it fails as a whole if nothing could be read


@contextmanager
def installed(library: FakeLibrary | None) -> Iterator[None]:
    """Let the binding use ``library`` (None: find none), and afterwards what it used before."""
    binding = pynvml.__dict__
    names = ("nvmlLib", "CDLL", "_nvmlLib_refcount", "_nvmlGetFunctionPointer_cache")
    before = {name: binding[name] for name in names}
    # the binding keeps the functions it looked up: a fresh store, or it would call the old ones
    binding.update(zip(names, (library, _nothing_to_load, 0, {}), strict=True))
    try:
        yield
    finally:
        binding.update(before)


_ERA = 1000  # handles to a start of the library; what divides a handle
_MOST = 100  # devices; what divides a handle within an era, above it stand slices
_REMEMBERED = 1000  # batches
_UNSUPPORTED_FIELD = FakeField(code=_NOT_SUPPORTED)


def _on_a_slice(device: FakeDevice, place: int, name: str, *arguments: object) -> int:
    cut = (device.slices or {}).get(place, FakeSlice(0, code=_INVALID_ARGUMENT))
    if cut.code:
        return cut.code
    call = SLICE_CALLS.get(name)
    return _NOT_SUPPORTED if call is None else call(cut, *arguments)


def _nothing_to_load(name: str) -> object:
    message = f"{name}: cannot open shared object file"
    raise OSError(message)


def _target(argument: object) -> object:
    """Return what ``ctypes.byref`` points to, and anything else as it is."""
    return getattr(argument, "_obj", argument)


def _handle(made: object) -> ctypes.c_void_p:
    """Return the pointer in a handle that the binding made, sharing its memory."""
    return ctypes.c_void_p.from_buffer(made)  # type: ignore[arg-type]  # ctypes makes buffers
