"""A dcgm-exporter to ask, and a source that asks it when told to, on a clock that stands still."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tessera.adapters.base import Absent, Reading
from tessera.adapters.nvidia.dcgm import DcgmSource, ambiguous
from tessera.adapters.nvidia.fake_exporter import FakeExporter, FakeGpu

INTERVAL = 30.0
BEGAN = 1_800_000_000.0


def gpu(number: int = 0, **raw: float) -> FakeGpu:
    """Return a GPU with the fields that exporters show by default; ``raw`` as ``f155=300``."""
    values = {100: 1755.0, 150: 52.0, 155: 410.5, 156: 9e8, 203: 97.0, 230: 0.0, 252: 40_000.0}
    values |= {int(name[1:]): value for name, value in raw.items()}
    return FakeGpu(f"GPU-{number:08x}-aaaa-bbbb-cccc-0123456789ab", values=values)


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Asked:
    """A source of an exporter whose pages are fetched by :meth:`collect`, never by a thread."""

    exporter: FakeExporter
    classify: Callable[[int], str] = ambiguous
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.source = DcgmSource(self.exporter.url, INTERVAL, self.classify, clock=self.clock)
        self.source.pages.start = lambda: None  # type: ignore[method-assign]  # no thread here
        self.source.pages.once()

    def read(self) -> list[Reading]:
        return self.source.read(BEGAN + self.clock.now)

    def wait(self, seconds: float = INTERVAL) -> list[Reading]:
        """Let time pass, fetch a page, and read."""
        self.clock.now += seconds
        self.source.pages.once()
        return self.read()

    def collect(self, seconds: float = INTERVAL) -> list[Reading]:
        """Let the exporter collect anew, which moves the energy, and read."""
        for shown in self.exporter.gpus:
            shown.values[156] = shown.values.get(156, 0.0) + 1.0
        return self.wait(seconds)


def values(readings: Iterable[Reading], shard: str = "") -> dict[str, float | Absent]:
    """Return what was read of one shard, or of the only one, without what is unsupported."""
    return {
        found.metric: found.value
        for found in readings
        if found.value != Absent("unsupported") and found.shard.startswith(shard)
    }
