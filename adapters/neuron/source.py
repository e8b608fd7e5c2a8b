"""The Trainium and Inferentia devices of this host as a source of counters.

Apart from what it joins: the driver's files know the devices, neuron-monitor knows their work.
"""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..base import Absent, Fact, Reading, Shard, SourceUnavailable
from .conditions import Conditions
from .device import CODES, LOST, POWER, UNHEALTHY, Device
from .monitor import Monitor
from .sysfs import MODULE, device_folders, driver_version, runtime_version
from .tally import METRICS, UNCORRECTED, Cell, Tally, Value

NAME = "neuron"

_NO_DRIVER = "driver_not_loaded"
_MACHINE_ID = "etc/machine-id"
_FIRST_WAIT = 5.0  # seconds for the first report


class NeuronSource:
    """Serve the counters of every Neuron device of this host.

    Nothing is read or started before ``shards``. No file of the driver is ever opened to write.
    """

    def __init__(
        self, monitor: Monitor | None = None, *, root: Path = Path("/"), host: str = ""
    ) -> None:
        """Take neuron-monitor, where the driver's files are, and a name for ids without a serial.

        ``host`` is this machine's id unless it is said.
        """
        self.name = NAME
        self.doing = ""
        self._monitor = monitor or Monitor()
        self._root = root
        self._host = host
        self._tally = Tally()
        self._conditions = Conditions()
        self._devices: dict[int, Device] = {}
        self._shards: dict[int, Shard] = {}
        self._here: frozenset[int] = frozenset()
        self._has_monitor = False  # there is such a program
        self._has_begun = False  # it was started
        self._has_driver = False  # once its module was seen
        self._metrics: tuple[str, ...] = ()
        self._turn = 0
        self._driver = self._runtime = ""

    def shards(self) -> tuple[Shard, ...]:
        """Return the devices of now and those lost since the source was opened.

        Waits some seconds for neuron-monitor when it is started: it may be the only one that tells
        how many there are, or what they are. Raises ``SourceUnavailable`` if there are none.
        """
        folders = device_folders(self._root)
        nodes = [*(self._root / "dev").glob("neuron[0-9]*")]
        if not folders and not nodes and not self._devices:
            raise SourceUnavailable(NAME, "there are no Neuron devices (the driver is not loaded)")
        self._begin()
        moved = driver_version(self._root) != self._driver
        for index, folder in folders.items():
            device = self._devices.setdefault(index, Device(index, folder))
            if moved or index not in self._here:  # a thousand files each, so not at every look
                device.files.search()
        if not self._devices:
            self._find_by_report()
        self._here = frozenset(folders)
        self._driver, self._runtime = driver_version(self._root), runtime_version(self._root)
        self._has_driver = (self._root / MODULE).exists()
        self._metrics = self._possible()
        for index, device in self._devices.items():
            if index not in self._shards:
                self._shards[index] = self._shard(device)
        return tuple(self._shards.values())

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return what may come, now or when a workload runs."""
        return self._metrics

    @property
    def connected(self) -> Mapping[str, tuple[str, ...]]:
        """Return the shards that each is wired to by design, by the driver's table."""
        return {
            self._shards[index].id: tuple(
                self._shards[other].id for other in device.connected if other in self._shards
            )
            for index, device in self._devices.items()
            if index in self._shards
        }

    @property
    def rejected(self) -> Mapping[tuple[str, str], int]:
        """Return how many impossible values were refused, by shard and metric.

        Copies are counted: it may be asked while another thread reads.
        """
        found: Counter[tuple[str, str]] = Counter()
        for (index, metric), number in tuple(self._tally.rejected.items()):
            if index in self._shards:
                found[self._shards[index].id, metric] += number
        for index, device in tuple(self._devices.items()):
            for metric, number in tuple(device.rejected.items()):
                found[self._shards[index].id, metric] += number
        return found

    @property
    def faults(self) -> Mapping[str, int]:
        """Return what went wrong with neuron-monitor so far, see ``Monitor.counted``."""
        return dict(self._monitor.counted)

    def read(self, at: float) -> list[Reading]:
        """Return what is new at ``at`` (Unix seconds); none before ``shards``.

        A metric that has nothing new yet is left out. One of neuron-monitor is an error while it
        is silent and unsupported where there is no such program.
        """
        if not self._shards:
            return []
        self._hear()
        self._look()
        fresh = self._tally.fresh()
        found: list[Reading] = []
        for index, device in self._devices.items():
            shard = self._shards[index].id
            self.doing = f"reading the driver's files of neuron{index}"
            found += [Reading(shard, m, value) for m, value in self._values(device, fresh, at)]
        self.doing = ""
        return found

    def facts(self, at: float) -> list[Fact]:
        """Return the conditions that began or ended."""
        if self._has_driver:
            gone = not (self._root / MODULE).exists()
            found = {_NO_DRIVER: "the Neuron driver is not loaded any more"} if gone else {}
            self._conditions.see("", found, at, (_NO_DRIVER,))
        for index, device in self._devices.items():
            shard = self._shards[index].id
            if self._is_lost(index):
                if (self._root / MODULE).exists():
                    self._conditions.see(shard, {LOST: f"neuron{index} is gone"}, at, (LOST,))
                continue
            seen = device.conditions(self._tally.total(index, UNCORRECTED))
            self._conditions.see(shard, seen.found, at, (*seen.known, LOST))
        return self._conditions.news()

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> list[tuple[str, str]]:
        """Take up the facts that a former process told, as ``Resuming`` says.

        Each is something that the driver's files say now; where they cannot say it goes on.
        """
        del at, rebooted  # the files tell what is so, booted or not
        ours = [
            (shard, code)
            for shard, code in standing
            if code in CODES or code.startswith(UNHEALTHY) or (shard, code) == ("", _NO_DRIVER)
        ]
        for shard, code in ours:
            self._conditions.resume(shard, code)
        return ours

    def identity(self) -> Mapping[str, str]:
        """Return what the devices run on; ``SHARD/resets`` moves when one of them is reset."""
        elements = {"neuron_driver": self._driver, "neuron_runtime": self._runtime}
        elements |= dict(self._tally.hardware.about) | dict(self._tally.instance)
        for index, device in self._devices.items():
            elements[f"{self._shards[index].id}/resets"] = device.resets
        return {name: told for name, told in elements.items() if told}

    def close(self) -> None:
        """End neuron-monitor; ``shards`` may start it again."""
        self._monitor.close()
        self._has_begun = False

    def _begin(self) -> None:
        """Start neuron-monitor where there is one, and hear its first report."""
        self._has_monitor = self._monitor.can_start()
        if self._has_monitor and not self._has_begun:
            self._has_begun = True
            self._monitor.start()
            self._monitor.wait_first(_FIRST_WAIT)
            self._hear()

    def _hear(self) -> None:
        for came, report in self._monitor.reports():
            self._tally.take(report, came)

    def _possible(self) -> tuple[str, ...]:
        devices = self._devices.values()
        power = {POWER} if any(device.files.has("utilization") for device in devices) else set()
        counts = {metric for device in devices for metric in device.counts()}
        told = METRICS if self._has_monitor else ()
        return tuple(sorted({*told, *power, *counts}))

    def _find_by_report(self) -> None:
        """Find the devices without their files, as in a container that does not see them."""
        for index in range(self._tally.hardware.devices):
            self._devices[index] = Device(index, None)
        if not self._devices:
            self.close()
            raise SourceUnavailable(NAME, "neither the driver's files nor neuron-monitor tell them")

    def _shard(self, device: Device) -> Shard:
        product = device.product or self._tally.hardware.device_type
        kind = "inferentia_chip" if product.startswith("inferentia") else "trainium_chip"
        serial = device.serial
        own = f"neuron-{serial}" if serial else f"{self._machine()}-neuron{device.index}"
        return Shard(own, kind, sku=product)

    def _machine(self) -> str:
        if not self._host:
            try:
                told = (self._root / _MACHINE_ID).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                told = ""
            self._host = told or platform.node()
        return self._host

    def _is_lost(self, index: int) -> bool:
        """Say whether a device that had files has none."""
        return self._devices[index].has_files and index not in self._here

    def _look(self) -> None:
        """Look for devices and files that came back or moved, and at the cores of one device."""
        self.doing = "listing the Neuron devices"
        folders = device_folders(self._root)
        driver = driver_version(self._root)
        moved = driver != self._driver if driver else False
        if moved or not self._here.issuperset(folders):
            for index in folders:
                if index in self._devices:
                    self._devices[index].files.search()
            self._metrics = self._possible()
        self._here = frozenset(folders)
        self._driver = driver or self._driver
        indices = [index for index in self._devices if index in self._here]
        if indices:
            self._turn = (self._turn + 1) % len(indices)
            self._devices[indices[self._turn]].look_at_cores()

    def _values(
        self, device: Device, fresh: Mapping[Cell, Value], at: float
    ) -> Iterator[tuple[str, Value]]:
        if self._is_lost(device.index):
            for metric in self._metrics:
                yield metric, Absent("error", LOST)
            return
        counts = device.counts()
        yield from counts.items()
        power = device.power(at)
        if power is not None:
            yield POWER, power
        silent = self._silent()
        for metric in METRICS:
            if metric in counts:
                continue
            value = fresh.get((device.index, metric), silent)
            if value is not None:
                yield metric, value

    def _silent(self) -> Absent | None:
        """Return what a metric of neuron-monitor is without a new report."""
        if not self._has_monitor:
            return Absent("unsupported")
        return Absent("error", self._monitor.trouble) if self._monitor.trouble else None
