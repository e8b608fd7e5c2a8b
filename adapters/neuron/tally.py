"""From reports about runtimes and cores to readings of devices.

Apart from the parser, because it remembers: counts of a period become running totals, and a group
that is told twice is no second reading.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from ..base import Absent
from .report import EccErrors, Executions, Group, Hardware, Report, Runtime

UTILIZATION = "neuroncore_utilization_ratio"
MEMORY = "memory_used_bytes"
P50, P99 = "execution_latency_p50_seconds", "execution_latency_p99_seconds"
ERRORS = "execution_errors"
CORRECTED, SRAM_CORRECTED = "ecc_corrected", "sram_ecc_corrected"
UNCORRECTED = "ecc_uncorrected"
METRICS = (UTILIZATION, MEMORY, P50, P99, ERRORS, CORRECTED, SRAM_CORRECTED, UNCORRECTED)

FAILED: Final = Absent("error", "group_error")  # the group itself says that it has nothing
IMPOSSIBLE: Final = Absent("error", "impossible")

Cell: TypeAlias = tuple[int, str]  # device and metric
Value: TypeAlias = float | Absent
PerCore: TypeAlias = Group[Mapping[int, float]]

_FULL = 100.5  # percent; a core that never rests is told as a little more than 100
_LONGEST = 86_400.0  # seconds of one execution
_MANY = 2.0**53  # counts beyond this are not exact as a float64
_LARGEST = 2.0**50  # bytes of a device whose size is not known
_SLACK = 1.02  # of the told size of a memory
_HOST = -2  # in place of a process, for what is told of the host


class Tally:
    """Take reports, give what is new since it was last asked, by device index and metric.

    A runtime's latencies and errors belong to each device that it has cores on: a report does not
    tell them apart. Of several runtimes on a device the slowest counts. A device that no runtime
    has cores on is idle: its utilisation is 0.
    """

    def __init__(self) -> None:
        """Know of no device."""
        self.hardware = Hardware()
        self.instance: Mapping[str, str] = {}
        self.rejected: Counter[Cell] = Counter()
        self._fresh: dict[Cell, Value] = {}
        self._totals: dict[Cell, float] = {}
        self._placed: dict[int, frozenset[int]] = {}  # devices of a process, when last told
        self._last: dict[tuple[int, str], tuple[object, float]] = {}

    def fresh(self) -> Mapping[Cell, Value]:
        """Return what came since the last call."""
        found, self._fresh = self._fresh, {}
        return found

    def total(self, device: int, metric: str) -> float | None:
        """Return a running total, None where nothing was told of it."""
        return self._totals.get((device, metric))

    def take(self, report: Report, at: float) -> None:
        """Take what ``report`` says, which came at ``at`` seconds of a clock that never falls."""
        if report.hardware.devices:
            self.hardware = report.hardware
        self.instance = dict(report.instance) or self.instance
        self._forget(report)
        if self.hardware.devices and self.hardware.cores_per_device:
            self._place(report.runtimes)
            self._use(report.runtimes, at)
            self._hold(report.runtimes, at)
            self._execute(report.runtimes, at)
        if report.ecc is not None and not self._is_told(_HOST, "ecc", report.ecc, at):
            self._correct(report.ecc)

    def _forget(self, report: Report) -> None:
        """Forget the processes that are gone."""
        here = {_HOST, *(runtime.pid for runtime in report.runtimes)}
        self._last = {key: told for key, told in self._last.items() if key[0] in here}
        self._placed = {pid: told for pid, told in self._placed.items() if pid in here}

    def _is_told(self, pid: int, name: str, group: Group[object], at: float) -> bool:
        """Say whether ``group`` came before: the same, sooner than it could be found again."""
        before, since = self._last.get((pid, name), (None, 0.0))
        if before == group and at - since < group.period / 2:
            return True
        self._last[pid, name] = group, at
        return False

    def _devices(self) -> range:
        return range(self.hardware.devices)

    def _place(self, runtimes: Sequence[Runtime]) -> None:
        for runtime in runtimes:
            if runtime.cores is not None and runtime.cores.found:
                self._placed[runtime.pid] = frozenset(map(self._device, runtime.cores.found))

    def _device(self, core: int) -> int:
        return core // self.hardware.cores_per_device

    def _use(self, runtimes: Sequence[Runtime], at: float) -> None:
        cores = [(runtime.pid, runtime.cores) for runtime in runtimes]
        whole = self.hardware.cores_per_device
        for device, percents in self._collected(UTILIZATION, cores, at):
            used = sum(min(percent, 100.0) for percent in percents) / (100 * whole)
            bad = any(not 0 <= percent <= _FULL for percent in percents) or len(percents) > whole
            self._set(device, UTILIZATION, used, bad=bad)

    def _hold(self, runtimes: Sequence[Runtime], at: float) -> None:
        held = [(runtime.pid, runtime.memory) for runtime in runtimes]
        most = self.hardware.memory * _SLACK or _LARGEST
        for device, sizes in self._collected(MEMORY, held, at):
            bad = any(size < 0 for size in sizes) or sum(sizes) > most
            self._set(device, MEMORY, sum(sizes), bad=bad)

    def _collected(
        self, metric: str, groups: Sequence[tuple[int, PerCore | None]], at: float
    ) -> Iterator[tuple[int, list[float]]]:
        """Yield for each device the numbers of its cores, none where nothing runs.

        Nothing is yielded unless all processes tell something new; the devices of those that have
        an error are set to that, all devices where nobody knows which they are.
        """
        told = [(pid, group) for pid, group in groups if group is not None]
        repeated = [self._is_told(pid, metric, group, at) for pid, group in told]
        if len(told) < len(groups) or any(repeated):
            return
        failed: set[int] = set()
        found: dict[int, list[float]] = {device: [] for device in self._devices()}
        for pid, group in told:
            if group.found is None:
                failed |= self._placed.get(pid, frozenset(self._devices()))
                continue
            for core, number in group.found.items():
                found.get(self._device(core), []).append(number)
        for device, numbers in found.items():
            if device in failed:
                self._fresh[device, metric] = FAILED
            else:
                yield device, numbers

    def _execute(self, runtimes: Sequence[Runtime], at: float) -> None:
        if all(runtime.executions is None for runtime in runtimes) and runtimes:
            return
        for device in self._devices():
            self._count(device, ERRORS, 0.0)
        slowest: dict[Cell, float] = {}
        for runtime in runtimes:
            group = runtime.executions
            if group is None or self._is_told(runtime.pid, ERRORS, group, at):
                continue
            for device in self._placed.get(runtime.pid, frozenset()) & {*self._devices()}:
                if group.found is None:
                    self._fresh |= {(device, metric): FAILED for metric in (ERRORS, P50, P99)}
                    continue
                self._count(device, ERRORS, group.found.errors)
                for metric, seconds in _latencies(group.found):
                    slowest[device, metric] = max(seconds, slowest.get((device, metric), seconds))
        for (device, metric), seconds in slowest.items():
            self._set(device, metric, seconds, bad=not 0 < seconds <= _LONGEST)

    def _correct(self, group: Group[Mapping[int, EccErrors]]) -> None:
        if group.found is None:
            cells = ((d, m) for d in self._devices() for m in _ECC)
            self._fresh |= dict.fromkeys(cells, FAILED)
            return
        for device, errors in group.found.items():
            uncorrected = [
                n for n in (errors.uncorrected, errors.sram_uncorrected) if n is not None
            ]
            self._count(device, CORRECTED, errors.corrected)
            self._count(device, SRAM_CORRECTED, errors.sram_corrected)
            self._count(device, UNCORRECTED, sum(uncorrected) if uncorrected else None)

    def _count(self, device: int, metric: str, more: float | None) -> None:
        """Add ``more`` to a running total; one that nothing was told of is not begun."""
        if more is None:
            return
        before = self._totals.get((device, metric), 0.0)
        total = before + more
        bad = more < 0 or total > _MANY
        self._totals[device, metric] = before if bad else total
        self._set(device, metric, total, bad=bad)

    def _set(self, device: int, metric: str, value: float, *, bad: bool) -> None:
        if bad:
            self.rejected[device, metric] += 1
        self._fresh[device, metric] = IMPOSSIBLE if bad else value


_ECC = (CORRECTED, SRAM_CORRECTED, UNCORRECTED)


def _latencies(found: Executions) -> list[tuple[str, float]]:
    told = ((P50, found.p50), (P99, found.p99))
    return [(metric, seconds) for metric, seconds in told if seconds is not None]
