"""One NVIDIA device as its source keeps it: found or lost, whole or cut into slices.

Apart from the source, because a device that falls off the bus must not silence its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..base import Absent, Reading, Shard
from . import binding
from .binding import Slice
from .border import Handle
from .conditions import Conditions
from .errors import LOST, NOT_FOUND, REPLACED, WAITS, NvmlFailed, action_of, name_of
from .gauges import SLICE_GAUGES, Gauges
from .identity import Makeup
from .sampling import METRICS, SLOW, Sampler
from .subject import Rejected, Subject

FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0  # seconds between two attempts to find a lost device
SLICED: Final = " (MIG)"  # behind the product of a device that is cut: it has other peers

_SLICE_METRICS: Final = tuple(gauge.metric for gauge in SLICE_GAUGES)
_CLOSEST: Final = 1.0  # second by which the slow readings of neighbours lie apart


class Device:
    """One device, found, or lost by the library's ``code``.

    Its counters are those of ``uuid`` also when it is cut: heat, power and errors belong to the
    whole. What a slice answers for itself, its memory, is read under the slice's own name.
    """

    makeup: Makeup
    _subject: Subject
    _sampler: Sampler
    _slices: tuple[tuple[Shard, Gauges], ...]

    def __init__(self, uuid: str, product: str, handle: Handle, place: int, seen: Rejected) -> None:
        """Take the device at ``place`` among those found, and where its refusals are counted."""
        self.uuid = uuid
        self.code = 0
        self.gone = False  # the device, not its driver, was lost
        self._product = product
        self._seen = seen
        self._phase = place * _CLOSEST % SLOW
        self._lost_at = self._wait = 0.0
        self.metrics: tuple[str, ...] = ()  # those that it serves, once all were asked for
        self._begin(handle)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Return the device and its slices as shards; a slice is named by its parent."""
        product = self._product + (SLICED if self.makeup.sliced else "")
        return (Shard(self.uuid, "gpu_shard", sku=product), *(shard for shard, _ in self._slices))

    @property
    def slices(self) -> Mapping[tuple[int, int], str]:
        """Return the shards of its slices by (GPU instance, compute instance)."""
        instances = ((one.gpu_instance, one.compute_instance) for one in self.makeup.slices)
        return dict(zip(instances, (shard.id for shard, _ in self._slices), strict=False))

    @property
    def reasons(self) -> int | None:
        """The bits that say why clocks are held down, where the last tick told them."""
        return None if self.code else self._sampler.reasons

    @property
    def schemas(self) -> Mapping[str, str]:
        """How metrics are read that older drivers tell otherwise, as it was read last."""
        return self._sampler.schemas

    def is_due(self, at: float) -> bool:
        """Say whether it is lost and to be looked for; a clock set back is no reason to wait.

        Behind a replaced driver nothing can be found in this process.
        """
        waiting = self._lost_at <= at < self._lost_at + self._wait
        return self.code not in (0, REPLACED) and not waiting

    def lose(self, code: int, at: float) -> None:
        """Give the device up at ``at`` (s): for longer each time, or for as long as its code says.

        A driver that is away says nothing of whether the device is there.
        """
        fixed = WAITS.get(action_of(code))
        longer = min(2 * self._wait, LONGEST_WAIT) if self._wait else FIRST_WAIT
        self._wait = longer if fixed is None else fixed
        self.code, self._lost_at = code, at
        self.gone = self.gone or code in LOST or code == NOT_FOUND
        self._sampler.release()

    def find(self, at: float) -> None:
        """Look for it by its UUID, or give it up again."""
        try:
            self._begin(binding.handle_of(self.uuid))
            self.makeup.read(fixed=True)
        except NvmlFailed as failed:
            self.lose(failed.code, at)
        else:
            self._name_slices()
            self.code = 0

    def read(self, at: float, *, profiling: bool) -> list[Reading]:
        """Return the readings of the device and its slices, errors where it is lost."""
        if self.code == 0:
            try:
                readings = self._sampler.sample(at, profiling=profiling)
            except NvmlFailed as failed:
                self.lose(failed.code, at)
            else:
                self._wait, self.gone = 0.0, False
                if self._sampler.slow is not None:
                    self.metrics = tuple(r.metric for r in readings if _is_served(r))
                for shard, gauges in self._slices:
                    readings += _of_a_slice(shard, gauges)
                return readings
        readings = _lost(self.uuid, self.metrics or METRICS, self.code)
        for shard, _ in self._slices:
            readings += _lost(shard.id, _SLICE_METRICS, self.code)
        return readings

    def look(self, at: float, *, fixed: bool = False) -> None:
        """Read what it runs on; what it did not support is asked again once it was cut anew."""
        if self.code:
            return
        sliced, slices = self.makeup.sliced, self.makeup.elements.get("mig")
        try:
            self.makeup.read(fixed=fixed)
        except NvmlFailed as failed:
            self.lose(failed.code, at)
            return
        if self.makeup.elements.get("mig") != slices:
            self._name_slices()
        if self.makeup.sliced != sliced:
            self._sampler.release()
            self._sampler = Sampler(self._subject, self._phase)

    def tell(self, conditions: Conditions, at: float) -> None:
        """Give ``conditions`` what the last tick read."""
        there = self.code == 0
        conditions.lost(
            self.uuid, at, lost=True if self.gone else (False if there else None), detail=self._why
        )
        if not there:
            return
        conditions.held(self.uuid, at, self._sampler.reasons)
        if self._sampler.slow is not None:
            slow, reasons = self._sampler.slow, self._sampler.reasons
            conditions.counted(self.uuid, at, slow, reasons)
            conditions.fabric(self.uuid, at, self.makeup.troubles)

    def release(self) -> None:
        """Give back what the library holds for it."""
        self._sampler.release()

    @property
    def _why(self) -> str:
        return name_of(self.code) if self.code else ""

    def _begin(self, handle: Handle) -> None:
        self._subject = Subject(self.uuid, handle, self._seen)
        self._sampler = Sampler(self._subject, self._phase)
        self.makeup = Makeup(handle)
        self._slices = ()

    def _name_slices(self) -> None:
        self._slices = tuple(self._named(one) for one in self.makeup.slices)

    def _named(self, one: Slice) -> tuple[Shard, Gauges]:
        name = f"{self.uuid}/{one.gpu_instance}/{one.compute_instance}"
        subject = replace(self._subject, uuid=name, handle=one.device)
        return Shard(name, "mig_slice", sku=one.product), Gauges(subject, SLICE_GAUGES)


def _is_served(reading: Reading) -> bool:
    return not (isinstance(reading.value, Absent) and reading.value.kind == "unsupported")


def _of_a_slice(shard: Shard, gauges: Gauges) -> list[Reading]:
    """Return the readings of a slice; one that was taken away does not lose the device."""
    try:
        return gauges.read()
    except NvmlFailed as failed:
        return _lost(shard.id, _SLICE_METRICS, failed.code)


def _lost(name: str, metrics: Sequence[str], code: int) -> list[Reading]:
    absent = Absent("error", name_of(code))
    return [Reading(name, metric, absent) for metric in metrics]
