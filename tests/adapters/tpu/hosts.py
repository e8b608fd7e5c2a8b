"""A host with TPU chips as files, and a source that asks its runtimes and plugin when told to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tessera.adapters.base import Absent, Reading
from tessera.adapters.tpu.source import TpuSource

BEGAN = 1_800_000_000.0
IDLE = Absent("unsupported")
NOWHERE = "http://127.0.0.1:1/metrics"


def chip(root: Path, slot: int, device: str = "0x006f", **more: str) -> Path:
    """Add a chip, by default a v6e behind VFIO, in ``slot`` of the bus below ``root``."""
    entry = root / "sys/bus/pci/devices" / f"0000:00:{slot:02x}.0"
    entry.mkdir(parents=True)
    words = {"vendor": "0x1ae0", "device": device, **more}
    for name, word in words.items():
        (entry / name).write_text(f"{word}\n")
    group = root / "sys/kernel/iommu_groups" / str(slot)
    group.mkdir(parents=True, exist_ok=True)
    (entry / "iommu_group").symlink_to(group)
    return entry


def host(root: Path, chips: int = 4, device: str = "0x006f") -> Path:
    """Return ``root`` with a machine's id and ``chips``."""
    (root / "etc").mkdir(parents=True)
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    for slot in range(chips):
        chip(root, slot + 4, device)
    return root


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Asked:
    """A source whose runtimes and plugin are asked by :meth:`wait`, never by a thread."""

    root: Path
    ports: tuple[int, ...] = (1,)
    page: str = NOWHERE
    environ: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.source = TpuSource(
            self.ports,
            self.page,
            host="host-7",
            root=self.root,
            environ=self.environ,
            clock=self.clock,
        )
        self.source.runtime.start = lambda: None  # type: ignore[method-assign]  # no thread here
        self.source.plugin.start = lambda: None  # type: ignore[method-assign]  # nor here
        self.source.shards()

    def wait(self, seconds: float = 5.0) -> list[Reading]:
        """Let time pass, ask, and read."""
        self.clock.now += seconds
        self.source.runtime.once()
        self.source.plugin.once()
        return self.read()

    def read(self) -> list[Reading]:
        return self.source.read(BEGAN + self.clock.now)


def values(readings: Iterable[Reading]) -> dict[tuple[int, str], float | Absent]:
    """Return what was read, by the chip's slot and the metric."""
    return {
        (int(found.shard.rpartition(":")[2].removesuffix(".0"), 16) - 4, found.metric): found.value
        for found in readings
    }
