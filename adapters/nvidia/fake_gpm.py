"""The performance monitor of scripted devices: samples that are handed out, taken and compared.

Apart from the library, because samples are memory of its own, which a caller must give back.
"""

import ctypes
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

from .fake_device import OK, FakeDevice

_INVALID_ARGUMENT, _NOT_SUPPORTED, _WRONG_VERSION = 2, 3, 25
_VERSION = 1


class _Support(Protocol):
    version: int
    isSupportedDevice: int  # noqa: N815 - the binding's name


class _Metric(Protocol):
    metricId: int  # noqa: N815 - the binding's name
    nvmlReturn: int  # noqa: N815 - the binding's name
    value: float


class _Asked(Protocol):
    version: int
    numMetrics: int  # noqa: N815 - the binding's name
    sample1: object
    sample2: object
    metrics: Sequence[_Metric]


class FakeMonitor:
    """The samples that are out, by address, and the device that each was taken of."""

    def __init__(self) -> None:
        """Start with none."""
        self.samples: dict[int, FakeDevice | None] = {}
        self._addresses = count(0x1000, 0x10)
        self.general: dict[str, Callable[..., int]] = {
            "nvmlGpmSampleAlloc": self._alloc,
            "nvmlGpmSampleFree": self._free,
            "nvmlGpmMetricsGet": self._between,
        }
        self.of_a_device: dict[str, Callable[..., int]] = {
            "nvmlGpmQueryDeviceSupport": _support,
            "nvmlGpmSampleGet": self._take,
        }

    def _alloc(self, out: object) -> int:
        made = next(self._addresses)
        ctypes.c_void_p.from_buffer(out).value = made  # type: ignore[arg-type]  # a pointer of the binding's
        self.samples[made] = None
        return OK

    def _free(self, sample: object) -> int:
        if _address(sample) not in self.samples:
            return _INVALID_ARGUMENT
        del self.samples[_address(sample)]
        return OK

    def _take(self, device: FakeDevice, sample: object) -> int:
        if device.activity is None:
            return _NOT_SUPPORTED
        if _address(sample) not in self.samples:
            return _INVALID_ARGUMENT
        self.samples[_address(sample)] = device
        return OK

    def _between(self, asked: _Asked) -> int:
        if asked.version != _VERSION:
            return _WRONG_VERSION
        earlier, later = _address(asked.sample1), _address(asked.sample2)
        device = self.samples.get(later)
        if earlier == later or device is None or self.samples.get(earlier) is not device:
            return _INVALID_ARGUMENT
        activity = device.activity or {}
        for item in asked.metrics[: asked.numMetrics]:
            item.nvmlReturn = OK if item.metricId in activity else _NOT_SUPPORTED
            item.value = activity.get(item.metricId, 0.0)
        return OK


def _support(device: FakeDevice, out: _Support) -> int:
    out.isSupportedDevice = device.activity is not None
    return OK


def _address(sample: object) -> int:
    return ctypes.cast(sample, ctypes.c_void_p).value or 0  # type: ignore[arg-type]  # a pointer of the binding's
