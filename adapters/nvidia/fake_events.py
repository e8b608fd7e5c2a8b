"""A scripted library that also tells of errors: the real binding waits on a set made of values.

Apart from the library of counters, because waiting needs a lock and counters need none.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Condition
from typing import Final, Protocol

from .fake_device import OK, FakeDevice, Number
from .fake_library import FakeLibrary, _handle

TIMEOUT, INVALID, NOT_SUPPORTED = 10, 2, 3
ALL: Final = 0xFFFFFFFF  # as an instance: of the whole device
EVERYTHING: Final = 0xFFFF  # kinds of events

XID: Final = 0x8


@dataclass(frozen=True, slots=True)
class FakeEvent:
    """One event of the device ``uuid``; ``code`` is that of an XID."""

    uuid: str
    kind: int = XID
    code: int = 0
    gpu: int = ALL
    compute: int = ALL


class _Data(Protocol):
    device: object
    eventType: int  # noqa: N815 - the binding's name
    eventData: int  # noqa: N815 - the binding's name
    gpuInstanceId: int  # noqa: N815 - the binding's name
    computeInstanceId: int  # noqa: N815 - the binding's name


class _Pci(Protocol):
    busId: bytes  # noqa: N815 - the binding's name


class FakeEventLibrary(FakeLibrary):
    """Devices that tell of errors to a set that waits for them.

    ``buses`` are the devices' PCI addresses by UUID (else 00000000:00:00.0), ``kinds`` what each
    can tell (else everything). ``wait_codes`` are handed out first, one to a wait. ``sets`` are
    the devices registered in each set that is not freed; ``made`` counts sets.
    """

    def __init__(self, devices: Sequence[FakeDevice] = ()) -> None:
        """Script the library; everything may be changed while it is in use."""
        super().__init__(devices)
        self.buses: dict[str, str] = {}
        self.kinds: dict[str, int] = {}
        self.wait_codes: deque[int] = deque()
        self.sets: dict[int, dict[str, int]] = {}
        self.made = 0
        self._changed = Condition()
        self._events: deque[FakeEvent] = deque()
        self._own: dict[str, Callable[..., int]] = {
            "nvmlEventSetCreate": self._create,
            "nvmlEventSetFree": self._free,
            "nvmlEventSetWait_v2": self._wait,
        }
        self._of_devices: dict[str, Callable[..., int]] = {
            "nvmlDeviceGetSupportedEventTypes": self._supported,
            "nvmlDeviceRegisterEvents": self._register,
            "nvmlDeviceGetPciInfo_v3": self._pci,
        }

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name in self._own:
            return partial(self._serve, name, self._own[name])
        if name in self._of_devices:
            return partial(self._serve_device, name, self._of_devices[name])
        return super().__getattr__(name)

    def tell(self, *events: FakeEvent) -> None:
        """Let ``events`` happen now; those that no set hears of are gone, as with the driver."""
        with self._changed:
            self._events += [event for event in events if self._is_heard(event)]
            self._changed.notify_all()

    def fail(self, code: int) -> None:
        """Let the wait that is under way, or the next one, fail with ``code``."""
        with self._changed:
            self.wait_codes.append(code)
            self._changed.notify_all()

    def until_heard(self, uuids: Sequence[str], seconds: float = 10.0) -> bool:
        """Wait until one set hears of all of ``uuids``; say whether it came to that."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(set(uuids) <= set(heard) for heard in self.sets.values()), seconds
            )

    def until_taken(self, seconds: float = 10.0) -> bool:
        """Wait until all that happened was taken; say whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._events and not self.wait_codes, seconds)

    def _is_heard(self, event: FakeEvent) -> bool:
        return any(heard.get(event.uuid, 0) & event.kind for heard in self.sets.values())

    def _create(self, out: object) -> int:
        with self._changed:
            self.made += 1
            self.sets[self.made] = {}
            _handle(out).value = self.made
        return OK

    def _free(self, made: object) -> int:
        with self._changed:
            known = self.sets.pop(_handle(made).value or 0, None) is not None
            self._changed.notify_all()
        return OK if known else INVALID

    def _supported(self, device: FakeDevice, out: Number) -> int:
        out.value = self.kinds.get(device.uuid, EVERYTHING)
        return OK

    def _register(self, device: FakeDevice, kinds: Number, made: object) -> int:
        if kinds.value & ~self.kinds.get(device.uuid, EVERYTHING):
            return NOT_SUPPORTED
        with self._changed:
            self.sets[_handle(made).value or 0][device.uuid] = kinds.value
            self._changed.notify_all()
        return OK

    def _pci(self, device: FakeDevice, out: _Pci) -> int:
        out.busId = self.buses.get(device.uuid, "00000000:00:00.0").encode()
        return OK

    def _wait(self, made: object, out: _Data, milliseconds: Number) -> int:
        with self._changed:
            if _handle(made).value not in self.sets:
                return INVALID
            self._changed.wait_for(
                lambda: self._events or self.wait_codes, milliseconds.value / 1e3
            )
            silence = OK if self._events else TIMEOUT
            code = self.wait_codes.popleft() if self.wait_codes else silence
            if code == OK:
                self._write(self._events.popleft(), out)
            self._changed.notify_all()
        return code

    def _write(self, event: FakeEvent, out: _Data) -> None:
        number = [device.uuid for device in self.devices].index(event.uuid)
        self._hand_out(number, out.device)
        out.eventType, out.eventData = event.kind, event.code
        out.gpuInstanceId, out.computeInstanceId = event.gpu, event.compute


class FakeKernelLog:
    """A kernel log in a file: what is said after it was opened is new to who reads it."""

    def __init__(self, path: Path) -> None:
        """Write at ``path``, with one message from before."""
        self.path = path
        self._number = 0
        path.write_bytes(b"")
        self.say("NVRM: loading the module")

    def say(self, *lines: str, priority: int = 4) -> None:
        """Log ``lines``, each as a record of its own."""
        with self.path.open("ab") as file:
            for line in lines:
                self._number += 1
                text = line.replace("\\", "\\x5c").replace("\n", "\\x0a")
                file.write(f"{priority},{self._number},{self._number * 1000},-;{text}\n".encode())
