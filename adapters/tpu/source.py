"""The TPU chips of this host as a source of counters: the runtime's gauges, else the plugin's.

Apart, because three places speak of one chip. A chip has no serial number that can be read, so its
shard is the host and the PCI address, which stay; the runtime counts chips in that order.

No workload is no error: the runtime lives inside it, so a port that nobody serves is idle.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from socket import gethostname
from types import MappingProxyType
from typing import Final

from ..background import Background, Outcome, Unreachable
from ..base import Absent, Fact, Reading, Shard, SourceUnavailable
from ..catalogue import Catalogue, default_catalogue
from ..exposition import BadExposition, parse
from ..http_page import address_of, fetch
from ..standing import Standing
from . import plugin
from .placing import Measured, place
from .plugin import Shown, shown_of
from .runtime import PORTS, Runtimes, Told
from .sysfs import Chip, chips_of

NAME: Final = "tpu"
POLL: Final = 5.0  # seconds between two questions to the runtime
DUTY, USED = "duty_cycle_ratio", "hbm_used_bytes"
METRICS: Final = (DUTY, USED)
LOST: Final = "device_lost"

_OTHERS = tuple(metric for metric in plugin.METRICS if metric not in METRICS)
_GONE = 3 * plugin.REFRESH  # seconds without the plugin's page, from which on that is an error
_STUCK = 60.0  # seconds for which the runtime's own clock may stand still
_TIMEOUT = 2.5  # seconds for the plugin's page
_LEFT = "device_lost"
_LOOK = 10.0  # seconds between two looks at the PCI bus
_MACHINE: Final = ("etc/machine-id", "var/lib/dbus/machine-id")
_INFO: Final = ".dist-info"
_LIBRARY: Final = f"usr/local/lib/python3*/*-packages/libtpu-*{_INFO}"
_SAID: Final = ("TPU_ACCELERATOR_TYPE", "TPU_TOPOLOGY", "TPU_TOPOLOGY_WRAP")
_IDLE: Final = Absent("unsupported")  # now: there is nothing to measure

Page = Mapping[int, Shown]
Values = dict[tuple[str, str], float | Absent]  # by shard and metric


class TpuSource:
    """Serve the chips below the file system ``root``, on the host called ``host``.

    ``host`` defaults to the machine's id. Nothing is asked before ``shards``. ``environ`` is what
    tells the kind and topology of the slice.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each place that is asked
        self,
        ports: Sequence[int] = PORTS,
        plugin_url: str = plugin.URL,
        *,
        host: str = "",
        root: Path = Path("/"),
        environ: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where to look; raise ``BadUrl`` for an address of the plugin that cannot be."""
        self.name = NAME
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.misplaced = 0  # gauges of no chip
        self._host, self._root, self._environ, self._clock = host, root, environ, clock
        self._address = address_of(plugin_url)
        self._runtimes = Runtimes(ports)
        self.runtime = Background(self._runtimes.ask, POLL, name="tpu runtime", clock=clock)
        self.plugin = Background(self._page, POLL, name="tpu plugin", clock=clock)
        self._lock = threading.Lock()  # shards and read may be asked by two threads
        self._chips: tuple[Chip, ...] = ()
        self._present: frozenset[str] = frozenset()
        self._looked, self._library = 0.0, ""
        self._standing = Standing()
        self._numbers = (0, 0)  # of the last outcomes taken up
        self._taken: dict[str, tuple[int, float]] = {}  # the runtime's clock, and ours, by shard
        self._page_at, self._shown_at = 0.0, 0.0
        self._page_now: Page = {}
        self._of_plugin: set[tuple[str, str]] = set()  # shards and metrics that it has shown
        self._of_runtime: frozenset[str] = frozenset()  # shards that a workload speaks of now

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that come when a workload does, and what the plugin has shown beside them."""
        with self._lock:
            shown = {metric for _, metric in self._of_plugin}
        return METRICS + tuple(metric for metric in _OTHERS if metric in shown)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, with how seldom each metric is new."""
        newest = self.runtime.newest
        told = () if newest is None else newest.found or ()
        idle = all(one.state == "idle" for one in told)
        only_plugin = bool(self._page_now) and idle
        often = plugin.REFRESH if only_plugin else POLL
        refresh = dict.fromkeys(METRICS, often) | dict.fromkeys(_OTHERS, plugin.REFRESH)
        return default_catalogue().with_override(
            {name: {"refresh": seconds} for name, seconds in refresh.items()}
        )

    def shards(self) -> tuple[Shard, ...]:
        """Return the chips of now and those lost since; raise ``SourceUnavailable`` if none."""
        with self._lock:
            self._look()
            if not self._chips:
                raise SourceUnavailable(NAME, "there is no TPU on the PCI bus")
            self.runtime.start()
            self.plugin.start()
            return tuple(self._shard(number) for number in range(len(self._chips)))

    def read(self, at: float) -> list[Reading]:
        """Return what is new at the tick ``at``; of an idle chip that there is nothing now."""
        with self._lock:
            if not self._chips:
                return []
            if self._clock() - self._looked >= _LOOK:
                self._look()
            self._note_lost(at)
            values = self._from_plugin(self.plugin.newest) | self._from_runtime(self.runtime.newest)
            return [Reading(shard, metric, value) for (shard, metric), value in values.items()]

    def facts(self, at: float) -> Iterable[Fact]:
        """Return which chips left the PCI bus, or came back, since the last call."""
        del at  # a fact is of the tick at which the bus was looked at
        return self._standing.news()

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> list[tuple[str, str]]:
        """Take up the facts that a former process told, as ``Resuming`` says."""
        del at, rebooted  # the bus tells what there is, booted or not
        with self._lock:
            here = {self._id(number) for number in range(len(self._chips))}
            ours = [(s, code) for s, code in standing if s in here and code == LOST]
            for shard, code in ours:
                self._standing.resume(shard, code)
        return ours

    def identity(self) -> Mapping[str, str]:
        """Return the kind and topology of the slice, and the library that the host carries."""
        found = {name.lower(): self._environ[name] for name in _SAID if self._environ.get(name)}
        return found | ({"libtpu": self._library} if self._library else {})

    def close(self) -> None:
        """Ask no more."""
        self.runtime.close()
        self._runtimes.close()  # which ends a call that still hangs
        self.plugin.close()

    def _page(self) -> Page:
        """Fetch the plugin's page; this runs in a thread of its own."""
        try:
            return shown_of(parse(fetch(self._address, _TIMEOUT)).samples)
        except BadExposition as bad:
            code = "no_metrics"
            raise Unreachable(code, str(bad)) from None

    def _look(self) -> None:
        """Look at the PCI bus, and for the library; a chip that left keeps its place."""
        self._looked = self._clock()
        found = chips_of(self._root)
        self._present = frozenset(chip.address for chip in found)
        names = sorted(path.name for path in self._root.glob(_LIBRARY))
        self._library = names[-1].removeprefix("libtpu-").removesuffix(_INFO) if names else ""
        if len(found) >= len(self._chips):
            self._chips = found

    def _note_lost(self, at: float) -> None:
        for number, chip in enumerate(self._chips):
            name = self._id(number)
            gone, detail = chip.address not in self._present, f"{chip.address} left the PCI bus"
            self._standing.see(name, LOST, at, holds=gone, after=2 * _LOOK, detail=detail)

    def _from_runtime(self, outcome: Outcome[tuple[Told, ...]] | None) -> Values:
        if outcome is None or outcome.number == self._numbers[0]:
            return {}
        self._numbers = (outcome.number, self._numbers[1])
        told = outcome.found or ()
        measured, left = place(told, len(self._chips), self._chips[0].generation.cores)
        self.misplaced += left
        failing = next((one.code for one in told if one.state == "fails"), "")
        code = "failed" if outcome.fault is not None else failing
        self._of_runtime = frozenset(self._id(number) for number in measured)
        values: Values = {}
        for number in range(len(self._chips)):
            values |= self._measured(number, measured.get(number), code)
        return values

    def _measured(self, number: int, found: Measured | None, code: str) -> Values:
        """Return the values of one chip: errors where a port fails, nothing where none is new."""
        name, chip = self._id(number), self._chips[number]
        if chip.address not in self._present:
            return {(name, metric): Absent("error", "missing") for metric in METRICS}
        if found is None:
            absent = Absent("error", code) if code else _IDLE
            mine = {(name, metric): absent for metric in METRICS}
            # Of an idle runtime the plugin knows more.
            return {key: value for key, value in mine.items() if code or key not in self._of_plugin}
        if not self._is_new(name, found.taken):
            return self._stuck(name)
        duty = None if found.duty_cycle is None else found.duty_cycle / 100
        most = chip.generation.memory if found.total is None else found.total
        values = {
            (name, DUTY): self._checked(name, DUTY, duty, 1.0),
            (name, USED): self._checked(name, USED, found.used, most),
        }
        return {key: value for key, value in values.items() if value is not None}

    def _is_new(self, name: str, taken: int) -> bool:
        """Say whether the runtime took its numbers anew; one that does not say always has."""
        before = self._taken.get(name)
        if taken and before is not None and before[0] == taken:
            return False
        self._taken[name] = (taken, self._clock())
        return True

    def _stuck(self, name: str) -> Values:
        if self._clock() - self._taken[name][1] <= _STUCK:
            return {}
        return {(name, metric): Absent("error", "stale") for metric in METRICS}

    def _checked(
        self, name: str, metric: str, value: float | None, most: float
    ) -> float | Absent | None:
        if value is None or 0 <= value <= most:
            return value
        self.rejected[name, metric] += 1
        return Absent("error", "impossible")

    def _from_plugin(self, outcome: Outcome[Page] | None) -> Values:
        """Return what the plugin's page has anew: other values, or its minute is over."""
        now = self._clock()
        if outcome is None or outcome.number == self._numbers[1]:
            return {}
        self._numbers = (self._numbers[0], outcome.number)
        if outcome.found is None:
            late = now - self._page_at > _GONE
            code = "failed" if outcome.fault is None else outcome.fault.code
            return {key: Absent("error", code) for key in self._of_plugin} if late else {}
        self._page_at = now
        if outcome.found == self._page_now and now - self._shown_at < plugin.REFRESH:
            return {}
        self._page_now, self._shown_at = outcome.found, now
        return dict(self._shown(outcome.found))

    def _shown(self, page: Page) -> Iterator[tuple[tuple[str, str], float | Absent]]:
        for number, shown in page.items():
            if number >= len(self._chips):
                self.misplaced += len(shown.values)
                continue
            name, memory = self._id(number), self._chips[number].generation.memory
            for metric, value in shown.values.items():
                most = (shown.memory or memory) if metric == USED else 1.0
                self._of_plugin.add((name, metric))
                if metric in METRICS and name in self._of_runtime:
                    continue  # one that is new more often says it too
                checked = self._checked(name, metric, value, most)
                if checked is not None:
                    yield (name, metric), checked

    def _shard(self, number: int) -> Shard:
        shown = self._page_now.get(number)
        sku = f"TPU {self._chips[number].generation.name}"
        return Shard(self._id(number), "tpu_shard", sku, "" if shown is None else shown.job)

    def _id(self, number: int) -> str:
        if not self._host:
            self._host = next(filter(None, map(self._line, _MACHINE)), gethostname())
        return f"{self._host}/tpu-{self._chips[number].address}"

    def _line(self, name: str) -> str:
        try:
            return (self._root / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
