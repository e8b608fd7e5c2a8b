"""The errors of the NVIDIA devices of this host: hardware's as facts, all others as counts.

Apart from the counters, because an error is told and not read, and from two sides: by the
driver's events and by the kernel's log.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from ..base import Absent, Event, Fact, Reading
from ..linux.kmsg import KernelLog
from . import event_calls as calls
from .errors import UNSUPPORTED, name_of
from .events import DeviceEvents, Kind
from .hard_facts import MOST, HardFacts
from .nvrm import Reader, SwitchError
from .sightings import ASKED, FELL_OFF, Address, Sighting, Sightings, address_text
from .xid import Xids, read_xids

METRIC: Final = "xid_application"
RECOVERY: Final = "recovery_action"
LOST: Final = "device_lost"
OF_THE_HOST: Final = ""  # the shard of facts about a device that the library does not show
WITHIN: Final = 3600.0  # seconds in which an ambiguous error must come twice to be counted

# The compute slices of a device, (GPU instance, compute instance) → shard; none: it is whole.
Slices: TypeAlias = Callable[[str], Mapping[tuple[int, int], str]]

# How the codes of facts begin that nobody else raises.
_OURS = ("xid_", "sxid_", "poison", "fatal_poison", "gpu_unavailable")
_MOST_PAIRS = 4096  # of shard and ambiguous code that are remembered
_MOST_APART = 4096  # of one error between two ticks that are matched with the log, one by one
_HAPPENED = {
    calls.DOUBLE_BIT: ("ecc_uncorrected", "the driver tells of a double-bit ECC error"),
    calls.RETIREMENT_FAILED: ("row_remap_failure", "a memory row or page could not be retired"),
    calls.POISON: ("poison", "poisoned data was used and contained"),
    calls.FATAL_POISON: ("fatal_poison", "poisoned data was used and not contained"),
    calls.UNAVAILABLE: ("gpu_unavailable", "the driver says that the device is unavailable"),
}
_ACTIONS = {
    1: "GPU reset",
    2: "node reboot",
    3: "drain of its peers",
    4: "drain and reset",
    5: "recovery of the IMEX domain",
    6: "bus reset",
    7: "system reboot",
}


class XidWatch:
    """What the driver and the kernel tell of this host's devices since :meth:`start`.

    Hardware codes are facts ``xid_79`` of the device's shard; application codes are counted, and
    ambiguous ones from their second time within an hour on one shard. ``switch_errors`` counts
    those of NVSwitches that are not fatal, ``strangers`` harmless ones of devices that the
    library does not show.
    """

    def __init__(self, xids: Xids, log: KernelLog, events: DeviceEvents) -> None:
        """Take the codes' classes and what tells; nothing is opened."""
        self.standing = HardFacts()
        self.counts: Counter[str] = Counter()  # running totals of ``METRIC``, by shard
        self.switch_errors = 0
        self.strangers = 0
        self._xids, self._log, self._events = xids, log, events
        self._slices: Slices = _whole
        self._reader = Reader()
        self._sightings = Sightings()
        self._remembered = False  # what the log held before the start was looked at
        self._nameless: dict[Address, str] = {}  # devices with facts that the library does not show
        self._once: OrderedDict[tuple[str, int], float] = OrderedDict()

    @property
    def dropped(self) -> Mapping[str, int]:
        """How much was lost, by where: it was told, and there was no room for it."""
        return {
            "xid_events": self._events.dropped,
            "kernel_log_overruns": self._log.overruns,
            "xid_facts": self.standing.dropped,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Why one of the two is not heard now, each one line for a person."""
        return tuple(reason for reason in (self._events.reason, self._log.reason) if reason)

    @property
    def replaced(self) -> Event | None:
        """The driver's replacement beneath its library, once that was seen."""
        at = self._events.replaced_at
        return None if at is None else Event("firmware_push", at, "NVIDIA driver replaced")

    def start(self, slices: Slices | None = None) -> None:
        """Begin to listen; calling it again is harmless. ``slices`` says how devices are cut."""
        self._slices = slices or self._slices
        self._events.start()
        self._log.open()

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> list[tuple[str, str]]:
        """Take up the facts that a former process told, and return those that are ours."""
        told = list(standing)
        ours = [(s, code) for s, code in told if code.startswith(_OURS) or code == RECOVERY]
        self._events.resume(
            lost=[shard for shard, code in told if code == LOST],
            asked=[shard for shard, code in told if code == RECOVERY],
        )
        for shard, code in ours:
            self.standing.resume(shard, code, shard.split("/")[0], at, rebooted=rebooted)
        return ours

    @property
    def marks(self) -> Mapping[str, float]:
        """The energy of each device in millijoules, as far as it is known."""
        return self._events.energies

    def remember(self, marks: Mapping[str, float]) -> None:
        """Take what a former process saw last: a device that has less now was reset."""
        self._events.resume(energies=marks)

    def readings(self, at: float) -> list[Reading]:
        """Return the running total of ``METRIC`` for each shard, or why it is not known."""
        self._take_in(at)
        return [
            Reading(shard, METRIC, self._total(uuid, shard))
            for uuid in self._events.known
            for shard in (uuid, *self._slices(uuid).values())
        ]

    def facts(self, at: float) -> list[Fact]:
        """Return the facts that began or ended since the last call."""
        self._take_in(at)
        return self.standing.told()

    def close(self) -> None:
        """End the thread and close the log."""
        self._events.close()
        self._log.close()

    def _total(self, uuid: str, shard: str) -> float | Absent:
        if self._log.is_open or uuid in self._events.watched:
            return float(self.counts[shard])
        code = self._events.code
        if code and code not in UNSUPPORTED:
            return Absent("error", name_of(code))
        return Absent("unsupported")

    def _take_in(self, at: float) -> None:
        heard = self._events.collect()
        for kind, since, number in heard.errors:
            self._hear(kind, since, number)
        if self._events.is_ready:  # else the log's devices have no names yet
            self._remember(at)
            self._name_the_nameless()
            for record in self._log.poll():
                for line in record.lines:
                    self._read(line, at)
        for seen in self._sightings.due(at):
            self._judge(seen)
        for uuid, look in heard.looks.items():
            if look.action and not self._stands(uuid):
                self._ask(uuid, look.at, look.action)
        self.standing.end(at, heard.looks)

    def _hear(self, kind: Kind, at: float, number: int) -> None:
        uuid, event, code, part = kind
        if event == calls.XID:
            seen = Sighting(at, code, "events", uuid=uuid, slice=part)
            for _ in range(min(number, _MOST_APART)):
                self._see(seen)
            self._see_more(seen, number - _MOST_APART)
        elif event in _HAPPENED:
            fact, detail = _HAPPENED[event]
            for shard in self._place(uuid, part):
                self.standing.see(shard, fact, uuid, at, detail)

    def _see_more(self, seen: Sighting, number: int) -> None:
        """Count ``number`` more of a storm at once; a fact it made stands already."""
        if number > 0 and seen.uuid and self._xids.of(seen.code) != "hardware":
            for shard in self._place(seen.uuid, seen.slice):
                self.counts[shard] += number

    def _remember(self, at: float) -> None:
        """Look once for devices that fell off the bus before the start and are still away."""
        if self._remembered:
            return
        self._remembered = True
        reader = Reader()
        for line in (line for record in self._log.past() for line in record.lines):
            found = reader.read(line, at)
            if not isinstance(found, Sighting) or found.code != FELL_OFF:
                continue
            if found.address not in self._events.addresses:
                self._see(found)

    def _name_the_nameless(self) -> None:
        for address, device in tuple(self._nameless.items()):
            if address in self._events.addresses:
                self.standing.rename(device, self._events.addresses[address])
                del self._nameless[address]

    def _read(self, line: str, at: float) -> None:
        found = self._reader.read(line, at)
        if isinstance(found, SwitchError):
            self._switch(found)
        elif found is not None:
            address = found.address
            uuid = "" if address is None else self._events.addresses.get(address, "")
            self._see(replace(found, uuid=uuid))

    def _see(self, seen: Sighting) -> None:
        for new in self._sightings.take(seen, log_is_read=self._log.is_open):
            self._judge(new)

    def _judge(self, seen: Sighting) -> None:
        """Make of an error a fact or a count."""
        if seen.code == ASKED:
            self._recovery(seen)
            return
        judged = self._xids.of(seen.code, fatal=seen.fatal)
        shards = self._place(seen.uuid, seen.slice)
        if judged == "hardware":
            if seen.address is not None and not seen.uuid and len(self._nameless) < MOST:
                self._nameless[seen.address] = seen.device
            detail = self._detail(seen)
            for shard in shards:
                self.standing.see(shard, f"xid_{seen.code}", seen.device, seen.at, detail)
        elif not seen.uuid:
            self.strangers += 1
        elif judged == "application":
            self.counts.update(shards)
        else:
            self.counts.update(s for s in shards if self._came_before(s, seen.code, seen.at))

    def _came_before(self, shard: str, code: int, at: float) -> bool:
        """Say whether an ambiguous code came on ``shard`` within the hour, and remember it."""
        last = self._once.pop((shard, code), None)
        self._once[shard, code] = at
        if len(self._once) > _MOST_PAIRS:
            self._once.popitem(last=False)
        return last is not None and abs(at - last) <= WITHIN

    def _recovery(self, seen: Sighting) -> None:
        """Take that the recovery asked for has changed; the events' thread reads to what."""
        if seen.action:
            self._ask(seen.device, seen.at, seen.action)
        elif seen.action == 0:
            self.standing.was_reset(seen.device, seen.at)

    def _ask(self, device: str, at: float, action: int) -> None:
        known = device in self._events.known
        detail = f"the driver asks for: {_ACTIONS.get(action, f'action {action}')}"
        for shard in self._place(device if known else "", None):
            self.standing.see(shard, RECOVERY, device, at, detail)

    def _stands(self, uuid: str) -> bool:
        return all((shard, RECOVERY) in self.standing for shard in self._place(uuid, None))

    def _switch(self, error: SwitchError) -> None:
        if not error.fatal:
            self.switch_errors += 1
            return
        switch = f"NVSwitch {error.number}"
        detail = f"{switch}: {error.detail}"
        self.standing.see(OF_THE_HOST, f"sxid_{error.code}", switch, error.at, detail)

    def _place(self, uuid: str, part: tuple[int, int] | None) -> Iterable[str]:
        """Return the shards that an error of a device, or of a part of it, belongs to."""
        if not uuid:
            return (OF_THE_HOST,)
        if part is None:
            return (uuid,)
        gpu, compute = part
        slices = self._slices(uuid).items()
        found = tuple(s for (g, c), s in slices if g == gpu and compute in {c, -1})
        return found or (uuid,)

    def _detail(self, seen: Sighting) -> str:
        where = f" ({address_text(seen.address)})" if seen.address else ""
        message = f": {seen.detail}" if seen.detail else ""
        return f"{self._xids.text(seen.code)}{where}{message}"


def _whole(uuid: str) -> Mapping[tuple[int, int], str]:
    del uuid
    return {}


def watch_xids(classes: Path | None = None) -> XidWatch:
    """Return what listens on this host, by the classes of the TOML file ``classes`` if any.

    Raises ``BadDocument``, one line, for a file that cannot be followed.
    """
    return XidWatch(read_xids(classes), KernelLog(), DeviceEvents())
