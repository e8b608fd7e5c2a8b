"""How busy the parts of one device were between two samples of its performance monitor.

Apart, because samples live in the library's memory and come in pairs, and because a person may
have to stop this for a while: it takes no lock, but other profilers may want the counters.
Hopper and later.
"""

from collections.abc import Sequence
from typing import Final, Protocol, cast

import pynvml  # type: ignore[import-untyped]  # it ships no types: this file gives them

from ..base import Absent, Reading
from .border import Handle, calls
from .errors import NvmlFailed
from .subject import Subject
from .units import from_percent

ACTIVITY: Final = {"sm_active_ratio": 2, "tensor_active_ratio": 5, "dram_active_ratio": 10}
FIRST: Final = "first_sample"  # the code of a tick that has no sample before it

_BEYOND: Final = 101.0  # per cent: the monitor's rounding goes a little over


class _Metric(Protocol):
    metricId: int  # noqa: N815 - the binding's name
    nvmlReturn: int  # noqa: N815 - the binding's name
    value: float


_Table = Sequence[_Metric]


@calls("nvmlGpmQueryDeviceSupport")
def is_served(device: Handle) -> bool:
    """Say whether the device has the monitor."""
    return bool(pynvml.nvmlGpmQueryDeviceSupport(device).isSupportedDevice)


@calls("nvmlGpmSampleAlloc")
def _new_sample() -> object:
    sample: object = pynvml.nvmlGpmSampleAlloc()
    return sample


@calls("nvmlGpmSampleFree")
def _free(sample: object) -> None:
    pynvml.nvmlGpmSampleFree(sample)


@calls("nvmlGpmSampleGet")
def _take(device: Handle, sample: object) -> None:
    pynvml.nvmlGpmSampleGet(device, sample)


@calls("nvmlGpmMetricsGet")
def _between(earlier: object, later: object) -> list[tuple[int, float]]:
    """Return the code and the per cent of each of ``ACTIVITY``."""
    asked = pynvml.c_nvmlGpmMetricsGet_t()
    asked.version, asked.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, len(ACTIVITY)
    asked.sample1, asked.sample2 = earlier, later
    table = cast("_Table", asked.metrics)
    items = [table[place] for place in range(len(ACTIVITY))]
    for item, number in zip(items, ACTIVITY.values(), strict=True):
        item.metricId = number
    pynvml.nvmlGpmMetricsGet(asked)
    return [(item.nvmlReturn, item.value) for item in items]


class Activity:
    """The activity of one device since its last reading."""

    def __init__(self, subject: Subject) -> None:
        """Take the device; nothing is asked yet."""
        self._subject = subject
        self._samples: list[object] = []  # the earlier, and the one to be taken next
        self._has_one = False  # the earlier holds a sample
        self._served: bool | None = None

    def read(self) -> list[Reading]:
        """Return one reading for each of ``ACTIVITY``; raise ``NvmlFailed`` for a lost device."""
        try:
            values = self._values()
        except NvmlFailed as failed:
            self._has_one = False
            absent = self._subject.absence("sm_active_ratio", failed.code)
            self._served = False if absent.kind == "unsupported" else self._served
            values = [absent] * len(ACTIVITY)
        pairs = zip(ACTIVITY, values, strict=True)
        return [self._subject.reading(metric, value) for metric, value in pairs]

    def release(self) -> None:
        """Give the samples back to the library; the next reading begins anew."""
        samples, self._samples, self._has_one = self._samples, [], False
        for sample in samples:
            try:
                _free(sample)
            except NvmlFailed:  # what is gone needs no freeing
                continue

    def _values(self) -> list[float | Absent]:
        if self._served is None:
            self._served = is_served(self._subject.handle)
        if not self._served:
            return [Absent("unsupported")] * len(ACTIVITY)
        while len(self._samples) < 2:  # noqa: PLR2004 - a pair
            self._samples.append(_new_sample())
        earlier, later = self._samples
        _take(self._subject.handle, later)
        self._samples = [later, earlier]
        before, self._has_one = self._has_one, True
        if not before:
            return [Absent("error", FIRST)] * len(ACTIVITY)
        found = zip(ACTIVITY, _between(earlier, later), strict=True)
        return [self._value(metric, code, value) for metric, (code, value) in found]

    def _value(self, metric: str, code: int, value: float) -> float | Absent:
        if code:
            return self._subject.absence(metric, code)
        return self._subject.checked(metric, value, _at_most_one, _BEYOND)


def _at_most_one(value: float) -> float:
    return min(from_percent(value), 1.0)
