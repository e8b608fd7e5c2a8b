"""Hear the errors of the NVIDIA devices as their driver tells them, in a thread of its own.

Apart, because hearing means waiting, a set of events belongs to one thread, and a driver that
hangs must take nobody along.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from types import MappingProxyType
from typing import Final, TypeAlias

from . import event_calls as calls
from .border import Handle
from .errors import DOWN, LOST, REPLACED, UNKNOWN, UNSUPPORTED, NvmlFailed, name_of, reason_of
from .event_calls import Condition, EventSet, Seen
from .recovery import Look, Past, Recovery
from .sightings import ASKED, Address, address_of

PATIENCE: Final = 500  # milliseconds of one wait, so that a close is heard within a second
EACH: Final = 5.0  # seconds between two looks at a device
AGAIN: Final = 30.0  # seconds between two searches for devices that the set lacks
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds before the set is made anew
MOST_KINDS: Final = 4096  # different errors between two calls of ``collect``

TIMEOUT, NOT_LOADED = 10, 9  # the library's codes
WANTED: Final = (
    *(calls.XID, calls.DOUBLE_BIT, calls.RETIREMENT_FAILED),
    *(calls.POISON, calls.FATAL_POISON, calls.UNAVAILABLE, calls.RECOVERY),
)

Kind: TypeAlias = tuple[str, int, int, tuple[int, int] | None]  # UUID, event, XID, slice


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard since the last call: of each kind of error its first second and its number.

    ``looks`` are the latest at each device, by UUID.
    """

    errors: tuple[tuple[Kind, float, int], ...] = ()
    looks: Mapping[str, Look] = field(default_factory=dict)


@dataclass(slots=True)
class _Watched:
    """One device of the set and the name by which its events come."""

    uuid: str
    device: Handle
    pointer: int


class DeviceEvents:
    """The devices' errors since :meth:`start`.

    ``reason`` says in one line why none are heard, "" while they are; ``dropped`` counts errors
    that found no room; ``replaced_at`` is when the driver was found replaced beneath its library:
    then the thread has ended, and only a new process hears again.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """Take the clock (Unix seconds); nothing is touched."""
        self.reason = "the events of the driver are not listened to yet"
        self.dropped = 0
        self.replaced_at: float | None = None
        self.addresses: Mapping[Address, str] = {}  # PCI address → UUID, of every device ever found
        self.code = 0  # the library's, while it does not let us listen
        self._now = now
        self._lock = Lock()
        self._errors: dict[Kind, tuple[float, int]] = {}
        self._devices: dict[str, Recovery] = {}
        self._past: dict[str, Past] = {}  # of devices that were not found yet
        self._set: dict[str, _Watched] = {}
        self._told: frozenset[str] = frozenset()
        self._unusable: set[str] = set()
        self._ready = Event()  # the devices were looked for, with whatever result
        self._ending = Event()
        self._thread: Thread | None = None
        self._heard_once = False
        self._look_due = 0.0

    @property
    def watched(self) -> frozenset[str]:
        """Return the UUIDs of the devices whose errors are heard now."""
        return self._told

    @property
    def known(self) -> tuple[str, ...]:
        """Return the UUIDs of all devices that were ever found."""
        with self._lock:
            return tuple(self._devices)

    @property
    def is_ready(self) -> bool:
        """Say whether the devices were looked for, with whatever result."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to listen, within a second; calling it again is harmless."""
        self._ending.clear()
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._run, name="nvml events", daemon=True)
            self._thread.start()
            self._ready.wait(1.0)

    def collect(self) -> Heard:
        """Return what was heard since the last call; it does not wait."""
        with self._lock:
            found = tuple((kind, at, number) for kind, (at, number) in self._errors.items())
            self._errors.clear()
            return Heard(found, {uuid: device.look for uuid, device in self._devices.items()})

    @property
    def energies(self) -> Mapping[str, float]:
        """Return the millijoules of each device since its reset, as far as they are known."""
        with self._lock:
            told = ((uuid, device.energy) for uuid, device in self._devices.items())
            return {uuid: float(energy) for uuid, energy in told if energy is not None}

    def resume(
        self,
        lost: Iterable[str] = (),
        asked: Iterable[str] = (),
        energies: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Take what a former process knew of devices by UUID, of those too that are yet away."""
        gone, asking, at = set(lost), set(asked), self._now()
        with self._lock:
            for uuid in gone | asking | energies.keys():
                past = Past(uuid in gone, uuid in asking, energies.get(uuid))
                if uuid in self._devices:
                    self._devices[uuid].resume(at, past)
                elif uuid not in self._past:
                    self._past[uuid] = past
                else:
                    self._past[uuid] = replace(past, energy=self._past[uuid].energy)

    def _know(self, uuid: str, *, late: bool) -> None:
        """Follow a device from now on, by what a former process knew of it."""
        if uuid not in self._devices:
            at = self._now()
            self._devices[uuid] = Recovery(Look(at), lost=late)
            self._devices[uuid].resume(at, self._past.pop(uuid, Past()))

    def close(self) -> None:
        """End the thread and wait a second for it; one that hangs in the driver is left behind."""
        if self._thread is not None:
            self._ending.set()
            self._thread.join(1.0)
            self.reason = "the events of the driver are no longer listened to"

    def _run(self) -> None:
        wait = FIRST_WAIT
        while not self._ending.is_set():
            self._heard_once = False
            self._unusable.clear()
            try:
                self._watch()
            except NvmlFailed as failed:
                if failed.code == REPLACED:
                    self._end_replaced()
                    return
                self._lapse(failed.code)
            finally:
                self._told = frozenset()
                self._ready.set()
            wait = FIRST_WAIT if self._heard_once else min(2 * wait, LONGEST_WAIT)
            self._ending.wait(wait)

    def _watch(self) -> None:
        """Listen until the end, until a device comes back, or until the library fails."""
        calls.hold()
        try:
            while not self._ending.is_set():
                self._find()
                events = _new_set()
                try:
                    if self._register(events):
                        self._listen(events)
                        return
                finally:
                    if events is not None:
                        with suppress(NvmlFailed):
                            calls.free(events)
        finally:
            with suppress(NvmlFailed):
                calls.let_go()

    def _find(self) -> None:
        """Look for all devices; those that do not say their name are left out."""
        self._set = {}
        for number in range(calls.count()):
            found = _named(number)
            if found is not None:
                watched, address = found
                self._set[watched.uuid] = watched
                if address is not None:
                    self.addresses = {**self.addresses, address: watched.uuid}
        late = self.is_ready  # a device that was not there at the start was away, and is back
        with self._lock:
            for uuid in self._set:
                self._know(uuid, late=late)
        for uuid in self._devices.keys() - self._set.keys():
            self._note_failure(uuid, lost=True)

    def _register(self, events: EventSet | None) -> bool:
        """Let the set hear of all devices; False where it must be made anew without one of them.

        A set that fails with "unknown" is not defined any more, says the library's manual.
        """
        heard = set()
        for uuid, watched in self._set.items():
            if events is None or uuid in self._unusable:
                continue
            try:
                kinds = sum(WANTED) & calls.supported(watched.device)
                if kinds:
                    calls.register(watched.device, kinds, events)
                    heard.add(uuid)
            except NvmlFailed as failed:
                if failed.code in DOWN:
                    raise
                if failed.code == UNKNOWN:
                    self._unusable.add(uuid)
                    return False
        self._told = frozenset(heard)
        self.code, self.reason = 0, "" if heard else "no NVIDIA device here tells of errors"
        self._ready.set()
        return True

    def _listen(self, events: EventSet | None) -> None:
        self._look_due, search_due = 0.0, time.monotonic() + AGAIN
        while not self._ending.is_set():
            now = time.monotonic()
            if now >= self._look_due:
                self._look_due = now + EACH
                self._look()
            if now >= search_due:
                search_due = now + AGAIN
                if self._someone_is_back():
                    return
            if events is None:
                self._ending.wait(PATIENCE / 1e3)
                continue
            try:
                seen = calls.wait(events, PATIENCE)
            except NvmlFailed as failed:
                if failed.code != TIMEOUT:
                    raise
            else:
                self._hear(seen)
            self._heard_once = True

    def _hear(self, seen: Seen) -> None:
        named = (w.uuid for w in self._set.values() if w.pointer == seen.pointer)
        kind = (next(named, ""), seen.kind, seen.code, seen.slice)
        if seen.kind == calls.RECOVERY or (seen.kind, seen.code) == (calls.XID, ASKED):
            self._look_due = 0.0  # what it asks for is read at once
        at = self._now()
        with self._lock:
            since, number = self._errors.get(kind, (at, 0))
            if number or len(self._errors) < MOST_KINDS:
                self._errors[kind] = since, number + 1
            else:
                self.dropped += 1

    def _look(self) -> None:
        for uuid, watched in self._set.items():
            try:
                found = _condition(watched.device)
            except NvmlFailed as failed:
                if failed.code in DOWN:
                    raise
                self._note_failure(uuid, lost=failed.code in LOST)
            else:
                with self._lock:
                    self._devices[uuid].answered(self._now(), found)

    def _note_failure(self, uuid: str, *, lost: bool) -> None:
        with self._lock:
            self._devices[uuid].failed(self._now(), lost=lost)

    def _someone_is_back(self) -> bool:
        """Say whether a device answers that is not in the set, or was lost from it."""
        for number in range(calls.count()):
            found = _named(number)
            if found is not None and self._is_away(found[0].uuid):
                with suppress(NvmlFailed):
                    _condition(found[0].device)
                    return True
        return False

    def _is_away(self, uuid: str) -> bool:
        return uuid not in self._set or self._devices[uuid].lost

    def _lapse(self, code: int) -> None:
        self.code, self.reason = code, f"the events of the driver stopped ({name_of(code)})"
        for uuid in self._devices if code in DOWN else ():
            self._note_failure(uuid, lost=code == NOT_LOADED)

    def _end_replaced(self) -> None:
        self.code, self.replaced_at = REPLACED, self._now()
        self.reason = reason_of(REPLACED)


def _named(number: int) -> tuple[_Watched, Address | None] | None:
    """Return the device at ``number`` with its address, None if it does not say who it is."""
    try:
        device = calls.device_at(number)
        found = _Watched(calls.uuid_of(device), device, calls.pointer_of(device))
        return found, address_of(calls.bus_of(device))
    except NvmlFailed as failed:
        if failed.code in DOWN:
            raise
        return None


def _condition(device: Handle) -> Condition:
    """Return how a device is: one that serves none of it has answered all the same."""
    try:
        return calls.condition(device)
    except NvmlFailed as failed:
        if failed.code in UNSUPPORTED:
            return Condition(None, None)
        raise


def _new_set() -> EventSet | None:
    """Return an empty set, None where the library has no events."""
    try:
        return calls.new_set()
    except NvmlFailed as failed:
        if failed.code in UNSUPPORTED:
            return None
        raise
