"""The NVIDIA devices of this host as a source of counters: found, lost and found again.

Apart, because a device that falls off the bus must not silence its neighbours.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from ..base import Absent, Fact, Reading, Shard, SourceUnavailable
from . import binding
from .errors import DOWN, NvmlFailed, name_of, reason_of
from .sampling import METRICS, Sampler
from .watch import XidWatch

NAME = "nvml"

_FIRST_WAIT, _LONGEST_WAIT = 5.0, 300.0  # seconds between two attempts to find a lost device


@dataclass(slots=True)
class _Device:
    """One device, found (``sampler``) or lost (``code``, ``lost_at``) for ``wait`` seconds yet."""

    shard: Shard
    sampler: Sampler | None
    code: int = 0
    lost_at: float = 0.0
    wait: float = 0.0

    def lose(self, code: int, at: float) -> None:
        """Give the device up at ``at``, each time in a row for twice as long as before."""
        self.wait = min(2 * self.wait, _LONGEST_WAIT) if self.wait else _FIRST_WAIT
        self.sampler, self.code, self.lost_at = None, code, at

    def is_due(self, at: float) -> bool:
        """Say whether it is lost and to be looked for; a clock set back is no reason to wait."""
        waiting = self.lost_at <= at < self.lost_at + self.wait
        return self.sampler is None and not waiting


class NvmlSource:
    """Serve the counters of every NVIDIA device of this host.

    Nothing is touched before ``shards``; one thread at a time may use it.
    """

    def __init__(self, xids: XidWatch | None = None) -> None:
        """Start closed, with what listens for the devices' errors; None: nobody does."""
        self.name = NAME
        self._xids = xids
        self.rejected: Counter[tuple[str, str]] = Counter()  # impossible values by (UUID, metric)
        self.unnamed: dict[int, str] = {}  # codes of devices whose UUID cannot be read, by index
        self._devices: dict[str, _Device] = {}
        self._open = False

    def shards(self) -> tuple[Shard, ...]:
        """Return the devices of now and those lost since the source was opened.

        Raises ``SourceUnavailable`` if the library or its driver is absent, or has no devices.
        """
        try:
            self._start()
            found = self._found()
        except NvmlFailed as failed:
            if not self._devices:
                self._stop()
                raise SourceUnavailable(NAME, reason_of(failed.code)) from None
            found = {}  # those known are given as lost when they are read
        for uuid, device in found.items():
            self._devices.setdefault(uuid, device)
        if not self._devices:
            self._stop()
            told = ", ".join(f"device {index}: {code}" for index, code in self.unnamed.items())
            raise SourceUnavailable(NAME, told or "the NVIDIA driver has no devices")
        if self._xids is not None:
            self._xids.start()
        return tuple(device.shard for device in self._devices.values())

    def read(self, at: float) -> list[Reading]:
        """Return the readings of all devices at ``at`` (seconds); none before ``shards``.

        A lost device gives errors with the library's code and is looked for again by its UUID, at
        first after 5 s, at last each 300 s.
        """
        self._look_again(at)
        found = [reading for device in self._devices.values() for reading in _sample(device, at)]
        return found if self._xids is None else found + self._xids.readings(at)

    def facts(self, at: float) -> list[Fact]:
        """Return the facts that began or ended since the last call."""
        return [] if self._xids is None else self._xids.facts(at)

    @property
    def stale(self) -> str:
        """Why nothing can be read until this program begins anew; "" while it can."""
        return "" if self._xids is None else self._xids.stale

    @property
    def reasons(self) -> Mapping[str, int]:
        """The bits that say why clocks are held down, by UUID, where the last tick told them."""
        found = {uuid: device.sampler for uuid, device in self._devices.items()}
        return {
            uuid: sampler.reasons
            for uuid, sampler in found.items()
            if sampler is not None and sampler.reasons is not None
        }

    def close(self) -> None:
        """Stop the library and forget the devices; ``shards`` may open it again."""
        if self._xids is not None:
            self._xids.close()
        self._devices.clear()
        self._stop()

    def _start(self) -> None:
        if not self._open:
            binding.initialise()
            self._open = True

    def _stop(self) -> None:
        if self._open:
            self._open = False
            with suppress(NvmlFailed):  # what was to be stopped may be gone already
                binding.shut_down()

    def _found(self) -> dict[str, _Device]:
        count = binding.device_count()
        self.unnamed.clear()
        found: dict[str, _Device] = {}
        for index in range(count):
            try:
                handle = binding.handle_at(index)
                uuid, product = binding.uuid_of(handle), binding.product_of(handle)
            except NvmlFailed as failed:
                self.unnamed[index] = name_of(failed.code)
                continue
            shard = Shard(uuid, "gpu_shard", sku=product)
            found[uuid] = _Device(shard, Sampler(uuid, handle, self.rejected))
        return found

    def _look_again(self, at: float) -> None:
        due = [device for device in self._devices.values() if device.is_due(at)]
        if any(device.code in DOWN for device in due):
            due = self._reopened(at)
        for device in due:
            uuid = device.shard.id
            try:
                device.sampler = Sampler(uuid, binding.handle_of(uuid), self.rejected)
            except NvmlFailed as failed:
                device.lose(failed.code, at)

    def _reopened(self, at: float) -> list[_Device]:
        """Start the library anew and return the devices to look for: all, as handles are void."""
        self._stop()
        try:
            self._start()
        except NvmlFailed as failed:
            for device in self._devices.values():
                device.lose(failed.code, at)
            return []
        return list(self._devices.values())


def _sample(device: _Device, at: float) -> list[Reading]:
    if device.sampler is not None:
        try:
            readings = device.sampler.sample()
        except NvmlFailed as failed:
            device.lose(failed.code, at)
        else:
            device.wait = 0.0
            return readings
    absent = Absent("error", name_of(device.code))
    return [Reading(device.shard.id, metric, absent) for metric in METRICS]
