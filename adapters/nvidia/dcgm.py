"""The GPUs of this host as dcgm-exporter shows them, as a source of counters.

Apart from NVML's source, because an exporter is a page that changes each half minute: what counts
here is when it was new. A page is fresh when some value on it differs from the last fresh one and
half the interval has passed; only then are there readings. Where nothing moves for three intervals,
not even the energy, the exporter is stuck, and readings say ``stale``.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..background import Background, Outcome, Unreachable
from ..base import Fact, Reading, Shard, SourceUnavailable
from ..catalogue import Catalogue, default_catalogue
from ..exposition import BadExposition, parse
from ..http_page import address_of, fetch
from ..standing import Standing
from .dcgm_facts import CODES, LOST, XID, Classify, Conditions
from .dcgm_fields import BY_ID, METRICS, POWER_LIMIT
from .dcgm_page import MOST, Device, devices_of
from .dcgm_values import MISSING, Values

NAME: Final = "dcgm"
URL: Final = "http://127.0.0.1:9400/metrics"
INTERVAL: Final = 30.0  # seconds, the exporter's own default
XIDS: Final = "xid_application"
STALE: Final = "stale"
SLICED: Final = " (MIG)"  # behind the product of a GPU that is cut: it has other peers

_ASKS = 3  # pages fetched in one interval
_LATE = 3  # intervals without a fresh page, from which on the exporter is stuck
_EARLY = 0.5  # of an interval: a page that is new so soon shows half of a collection
_PATIENCE = 3.0  # seconds for the first page
_TIMEOUT = 2.5  # seconds for any


@dataclass(frozen=True, slots=True)
class Page:
    """The devices of a page and what tells it from another: values, whatever their order."""

    devices: tuple[Device, ...]
    digest: int
    bad_lines: int


@dataclass(slots=True)
class _Known:
    """One shard: its values and conditions over pages."""

    shard: Shard
    parent: str
    values: Values
    conditions: Conditions


def ambiguous(code: int) -> str:
    """Return the class of an XID where nobody knows any."""
    del code
    return "ambiguous"


class DcgmSource:
    """Serve what dcgm-exporter at ``url`` collects each ``interval`` seconds.

    A GPU that is cut into slices is a shard beside them, under another SKU: temperature and power
    are known of it alone. Nothing is asked before ``shards``. ``classify`` tells an XID's class:
    those of ``hardware`` are facts, all others are counted.
    """

    def __init__(
        self,
        url: str = URL,
        interval: float = INTERVAL,
        classify: Classify = ambiguous,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the exporter's address; raise ``BadUrl`` for one that cannot be."""
        self.name = NAME
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.bad_lines = 0  # of all fresh pages
        self._address, self._interval, self._classify = address_of(url), interval, classify
        self._clock = clock
        self.pages = Background(self._page, max(1.0, interval / _ASKS), name=NAME, clock=clock)
        self._lock = threading.Lock()  # shards and read may be asked by two threads
        self._known: dict[str, _Known] = {}
        self._devices: dict[str, Device] = {}  # of the last fresh page
        self._fresh = False  # whether that page was not yet read
        self._number, self._digest, self._fresh_at = 0, 0, -interval
        self._standing = Standing()
        self._resumed: set[tuple[str, str, bool]] = set()  # shard, code, whether the host booted

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, with how seldom the exporter collects."""
        shipped = default_catalogue()
        names = [name for name in (*METRICS, XIDS) if shipped.of(name).judged]
        return shipped.with_override({name: {"refresh": self._interval} for name in names})

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that pages have shown."""
        with self._lock:
            known = tuple(self._known.values())
            seen = set[str]().union(*(found.values.seen for found in known))
            counted = any(found.conditions.counted is not None for found in known)
        return tuple(m for m in METRICS if m in seen) + ((XIDS,) if counted else ())

    def shards(self) -> Sequence[Shard]:
        """Return the GPUs and slices of the pages so far, those that are lost too.

        Waits up to 3 s for the first page. Raises ``SourceUnavailable`` if none came or it shows
        no GPU; the exporter is asked no more then, until a later call.
        """
        self.pages.start()
        outcome = self.pages.wait(_PATIENCE)
        with self._lock:
            self._follow(outcome)
            if not self._known:
                self.pages.close()
                fault = None if outcome is None else outcome.fault
                reason = "the exporter shows no GPU" if fault is None else str(fault)
                raise SourceUnavailable(NAME, reason)
            return tuple(known.shard for known in self._known.values())

    def read(self, at: float) -> list[Reading]:
        """Return the readings of a page that is fresh at the tick ``at``; else none, or errors."""
        with self._lock:
            self._follow(self.pages.newest)
            if not self._fresh:
                return self._errors()
            self._fresh = False
            for name, known in self._known.items():
                self._notice(known, self._devices.get(name), at)
            return [r for name, known in self._known.items() for r in self._readings(name, known)]

    def facts(self, at: float) -> Iterable[Fact]:
        """Return what fresh pages showed to begin or end since the last call."""
        del at  # a fact is of the tick at which its page was read
        return self._standing.news()

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> list[tuple[str, str]]:
        """Take up the facts that a former process told, as ``Resuming`` says."""
        del at
        ours = [(s, code) for s, code in standing if code in CODES or code.startswith(XID)]
        with self._lock:
            for shard, code in ours:
                self._standing.resume(shard, code)
                self._resumed.add((shard, code, rebooted))
                if shard in self._known:
                    self._known[shard].conditions.resume(code, rebooted=rebooted)
        return ours

    def identity(self) -> Mapping[str, str]:
        """Return versions and the power limit, where the exporter was told to show them."""
        found: dict[str, str] = {}
        with self._lock:
            for device in self._devices.values():
                for name, version in device.labels.items():
                    found["driver" if name == "driver" else f"{device.id}/{name}"] = version
                limit = device.raw.get(POWER_LIMIT)
                if limit is not None and BY_ID[POWER_LIMIT].possible(limit):
                    found[f"{device.id}/power_limit_watts"] = f"{limit:g}"
        return found

    def close(self) -> None:
        """Ask no more."""
        self.pages.close()

    def _page(self) -> Page:
        """Fetch and parse one page; this runs in the background's thread."""
        try:
            page = parse(fetch(self._address, _TIMEOUT))
        except BadExposition as bad:
            code = "no_metrics"
            raise Unreachable(code, str(bad)) from None
        devices = devices_of(page.samples)
        return Page(devices, _digest(devices), page.bad_lines)

    def _follow(self, outcome: Outcome[Page] | None) -> None:
        """Take up ``outcome`` if it is a fresh page."""
        if outcome is None or outcome.found is None or outcome.number == self._number:
            return
        self._number, page = outcome.number, outcome.found
        early = outcome.at - self._fresh_at < _EARLY * self._interval
        if not page.devices or page.digest == self._digest or (self._known and early):
            return
        self._digest, self._fresh_at, self._fresh = page.digest, outcome.at, True
        self.bad_lines += page.bad_lines
        cut = {device.parent for device in page.devices if device.is_slice}
        self._devices = {
            d.id: replace(d, sku=d.sku + SLICED) if d.id in cut else d for d in page.devices
        }
        self._know()

    def _know(self) -> None:
        """Bring the shards up to the fresh page: new ones, other jobs, and slices that went."""
        parents = {device.parent for device in self._devices.values()}
        for name, known in list(self._known.items()):
            if name not in self._devices and known.parent in parents:
                del self._known[name]  # cut in another way now; a lost GPU is kept
        for name, device in self._devices.items():
            if name not in self._known and len(self._known) < MOST:
                self._known[name] = self._begin(device)
            if name in self._known:
                self._known[name].shard = _shard(device)

    def _begin(self, device: Device) -> _Known:
        values = Values(device.id, self.rejected)
        conditions = Conditions(device.id, self._classify, self._standing)
        for shard, code, rebooted in self._resumed:
            if shard == device.id:
                conditions.resume(code, rebooted=rebooted)
        return _Known(_shard(device), device.parent, values, conditions)

    def _notice(self, known: _Known, device: Device | None, at: float) -> None:
        name, detail = known.shard.id, "the exporter shows it no longer"
        late = _LATE * self._interval
        self._standing.see(name, LOST, at, holds=device is None, after=late, detail=detail)
        if device is not None:
            known.conditions.see(device, at)

    def _readings(self, name: str, known: _Known) -> Iterable[Reading]:
        device = self._devices.get(name)
        yield from known.values.without(MISSING) if device is None else known.values.of(device)
        counted = known.conditions.counted
        if counted is not None and device is not None:
            yield Reading(name, XIDS, counted)

    def _errors(self) -> list[Reading]:
        """Return errors where fresh pages fail to come, else nothing."""
        newest, waited = self.pages.newest, self._clock() - self._fresh_at
        fault = None if newest is None else newest.fault
        if waited <= (_LATE if fault is None else 1) * self._interval:
            return []
        code = STALE if fault is None else fault.code
        return [r for known in self._known.values() for r in known.values.without(code)]


def _digest(devices: Iterable[Device]) -> int:
    rows = [(d.id, number, "", repr(value)) for d in devices for number, value in d.raw.items()]
    rows += [
        (d.id, number, link, repr(value))
        for d in devices
        for number, links in d.links.items()
        for link, value in links.items()
    ]
    return hash(frozenset(rows))


def _shard(device: Device) -> Shard:
    kind = "mig_slice" if device.is_slice else "gpu_shard"
    return Shard(device.id, kind, device.sku, device.job)
