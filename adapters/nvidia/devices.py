"""The NVIDIA devices of this host as a source of counters, facts and identity.

Apart from the devices, because only here is known which there are, and when the library itself is
to be opened, closed and opened again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import get_ident

from ..base import Fact, Reading, Shard, SourceUnavailable
from ..catalogue import Catalogue
from . import binding
from .border import under_way
from .conditions import Conditions
from .device import Device
from .errors import DOWN, LOST, REPLACED, NvmlFailed, name_of, reason_of
from .jointly import Jointly
from .sampling import catalogue
from .subject import Rejected
from .watch import XidWatch

NAME = "nvml"


class NvmlSource:
    """Serve the counters of every NVIDIA device of this host.

    Nothing is touched before ``shards``; one thread at a time may use it, but for ``doing`` and
    ``pause``.
    """

    def __init__(self, xids: XidWatch | None = None) -> None:
        """Start closed, with what listens for the devices' errors; None: nobody does."""
        self.name = NAME
        self._xids = xids
        self._jointly = Jointly()
        self.unnamed: dict[int, str] = {}  # codes of devices whose UUID cannot be read, by index
        self._nameless: tuple[str, ...] = ()  # lost before they could be asked for their UUIDs
        self._lost_before: set[str] = set()  # UUIDs of those that a former process lost
        self._seen = Rejected()
        self._devices: dict[str, Device] = {}
        self._conditions = Conditions()
        self._open = False
        self._profiling = True
        self._driver = ""
        self._turn = 0  # of the devices, whose makeup is read next
        self._at_work: tuple[int, str] = (0, "")  # thread and device

    @property
    def catalogue(self) -> Catalogue:
        """What the readings mean, with how seldom the slow ones come."""
        return catalogue()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that any device serves, the slow ones too; none before the first reading."""
        found = {metric for device in self._devices.values() for metric in device.metrics}
        return tuple(sorted(found))

    @property
    def rejected(self) -> Counter[tuple[str, str]]:
        """Impossible values by (UUID, metric)."""
        return self._seen.values

    @property
    def forbidden(self) -> Mapping[str, tuple[str, ...]]:
        """The metrics that this program is not allowed to read, by UUID: worth a line in a log."""
        found: dict[str, tuple[str, ...]] = {}
        for uuid, metric in sorted(self._seen.forbidden):
            found[uuid] = (*found.get(uuid, ()), metric)
        return found

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know: what may not be read, and what cannot be heard."""
        found = (f"may not read {', '.join(what)} of {u}" for u, what in self.forbidden.items())
        mute = tuple(self.unnamed.items())
        nameless = (f"device {index} does not say its UUID ({code})" for index, code in mute)
        return (*found, *nameless, *(() if self._xids is None else self._xids.notes))

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many errors found no room, by where they were lost."""
        return {} if self._xids is None else self._xids.dropped

    @property
    def stale(self) -> str:
        """Why this process must be started again to read on, "" if it need not.

        The driver was replaced beneath the library, and a library once loaded stays loaded.
        """
        replaced = any(device.code == REPLACED for device in self._devices.values())
        replaced |= self._xids is not None and self._xids.replaced is not None
        return reason_of(REPLACED) if replaced else ""

    @property
    def doing(self) -> str:
        """The vendor's call that has not returned yet and its device; "" between calls."""
        thread, uuid = self._at_work
        call = under_way(thread)
        return f"{call} {uuid}".strip() if call else ""

    @property
    def reasons(self) -> Mapping[str, int]:
        """The bits that say why clocks are held down, by UUID, where the last tick told them."""
        found = {uuid: device.reasons for uuid, device in self._devices.items()}
        return {uuid: bits for uuid, bits in found.items() if bits is not None}

    def shards(self) -> tuple[Shard, ...]:
        """Return the devices and slices of now, and the devices lost since the source was opened.

        Raises ``SourceUnavailable`` if the library or its driver is absent, or has no devices.
        """
        self._at_work = (get_ident(), "")
        try:
            self._start()
            self._look_for_more()
        except NvmlFailed as failed:  # devices known are given as lost when they are read
            if not self._devices:
                self._stop()
                raise SourceUnavailable(NAME, reason_of(failed.code)) from None
        if not self._devices:
            self._stop()
            told = ", ".join(f"device {index}: {code}" for index, code in self.unnamed.items())
            raise SourceUnavailable(NAME, told or "the NVIDIA driver has no devices")
        if self._xids is not None:
            self._xids.start(self._slices)
        return tuple(shard for device in self._devices.values() for shard in device.shards)

    def read(self, at: float) -> list[Reading]:
        """Return the readings of all devices at ``at`` (seconds); none before ``shards``.

        A lost device gives errors with the library's code and is looked for again by its UUID, at
        first after 5 s, at last each 300 s; a driver that is not there each 10 s, a library each
        minute.
        """
        thread = get_ident()
        self._at_work = (thread, "")
        self._find_the_lost(at)
        self._look_at_one(at)
        readings: list[Reading] = []
        for uuid, device in self._devices.items():
            self._at_work = (thread, uuid)
            readings += device.read(at, profiling=self._profiling)
            device.tell(self._conditions, at)
        self._tell_of_the_host(at)
        if self._xids is not None:
            readings += self._xids.readings(at)
        return readings

    def facts(self, at: float) -> Iterable[Fact]:
        """Return what began or ended since the last call."""
        found = list(self._jointly.told("counters", self._conditions.news()))
        if self._xids is not None:
            found += self._jointly.told("events", self._xids.facts(at))
        return found

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> list[tuple[str, str]]:
        """Take up the facts that a former process told, as ``Resuming`` says."""
        told = list(standing)
        self._lost_before = {shard for shard, code in told if shard and code == "device_lost"}
        heard = [] if self._xids is None else self._xids.resume(told, at, rebooted=rebooted)
        self._jointly.resume("events", heard)
        rest = [fact for fact in told if fact not in heard]
        read = self._conditions.resume(rest, rebooted=rebooted)
        self._jointly.resume("counters", read)
        return [*heard, *read]

    @property
    def marks(self) -> Mapping[str, float]:
        """The energy of each device in millijoules, which begins anew with a reset."""
        return {} if self._xids is None else self._xids.marks

    def remember(self, marks: Mapping[str, float]) -> None:
        """Take what a former process saw last: a device that has less now was reset."""
        if self._xids is not None:
            self._xids.remember(marks)

    @property
    def schemas(self) -> Mapping[str, str]:
        """How metrics are read that older drivers tell otherwise: a new driver ends evidence."""
        return {metric: how for d in self._devices.values() for metric, how in d.schemas.items()}

    def identity(self) -> Mapping[str, str]:
        """Return what the devices run on, as last read: the driver, and ``UUID/element``."""
        found = {"driver": self._driver} if self._driver else {}
        for uuid, device in self._devices.items():
            if device.code == 0:
                found |= {f"{uuid}/{name}": value for name, value in device.makeup.elements.items()}
        return found

    def pause(self, *, paused: bool) -> None:
        """Stop reading the performance monitor, or go on: from the next tick."""
        self._profiling = not paused

    def close(self) -> None:
        """Stop the library and forget the devices; ``shards`` may open it again."""
        if self._xids is not None:
            self._xids.close()
        for device in self._devices.values():
            device.release()
        self._devices.clear()
        self._stop()

    def _slices(self, uuid: str) -> Mapping[tuple[int, int], str]:
        device = self._devices.get(uuid)
        return {} if device is None else device.slices

    def _start(self) -> None:
        if not self._open:
            binding.initialise()
            self._open = True
            with suppress(NvmlFailed):  # an identity without it
                self._driver = binding.driver_version()

    def _stop(self) -> None:
        self._driver = ""
        if self._open:
            self._open = False
            with suppress(NvmlFailed):  # what was to be stopped may be gone already
                binding.shut_down()

    def _look_for_more(self) -> None:
        """Add the devices that are not known yet, and look how all of them are cut."""
        self.unnamed.clear()
        away = set(self._devices)
        lost: list[str] = []
        for index in range(binding.device_count()):
            try:
                handle = binding.handle_at(index)
                uuid, product = binding.uuid_of(handle), binding.product_of(handle)
            except NvmlFailed as failed:
                self.unnamed[index] = name_of(failed.code)
                lost += [f"device {index}: {name_of(failed.code)}"] * (failed.code in LOST)
                continue
            away.discard(uuid)
            device = self._devices.get(uuid)
            if device is None:
                device = Device(uuid, product, handle, len(self._devices), self._seen)
                self._devices[uuid] = device
            device.look(0.0, fixed=not device.makeup.elements)
        self._nameless = tuple(lost[len(away) :])

    def _look_at_one(self, at: float) -> None:
        """Read what the next of the devices runs on: each in turn, so that no tick is long."""
        devices = list(self._devices.values())
        if devices:
            self._turn = (self._turn + 1) % len(devices)
            device = devices[self._turn]
            self._at_work = (self._at_work[0], device.uuid)
            device.look(at)

    def _find_the_lost(self, at: float) -> None:
        due = [device for device in self._devices.values() if device.is_due(at)]
        if any(device.code in DOWN for device in due):
            due = self._reopened(at)
        for device in due:
            self._at_work = (self._at_work[0], device.uuid)
            device.find(at)

    def _reopened(self, at: float) -> list[Device]:
        """Start the library anew and return the devices to look for: all, as handles are void."""
        devices = list(self._devices.values())
        for device in devices:
            device.release()
        self._stop()
        try:
            self._start()
        except NvmlFailed as failed:
            for device in devices:
                device.lose(failed.code, at)
            return []
        return devices

    def _tell_of_the_host(self, at: float) -> None:
        """Give the conditions what belongs to no device: no driver, devices without a name."""
        codes = [device.code for device in self._devices.values() if device.code]
        absent = set(codes) & DOWN - {1, REPLACED}
        detail = ", ".join(map(name_of, sorted(absent)))
        self._conditions.down(at, down=bool(absent), detail=detail)
        known = len(self._lost_before - self._devices.keys())
        self._conditions.nameless(at, self._nameless[known:])
