"""`python -m tessera.lab.hardware`: read the NVIDIA devices of this machine, if there are any.

Apart, because a scripted library knows only what its author knew: this says what a real one
serves, refuses and costs, and keeps a short recording of it for the tests to play.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from re import sub
from statistics import median
from typing import Final

import click

from ..adapters.base import Absent, Reading, Shard, SourceUnavailable
from ..adapters.nvidia.devices import NvmlSource
from ..adapters.recording import BadRecording
from ..agent.grid import Grid
from ..agent.record import Pace, record
from ..settings.clock import Clock, SystemClock
from ..settings.refused import HELP, OneLine, Refused

SECONDS: Final = 30  # of the recording: three readings of the slow counters
LOOKS: Final = 12  # ticks for the table: rates, activity and the slow counters are among them
RECORDINGS: Final = Path(__file__).resolve().parents[1] / "tests" / "recordings"


@click.command(cls=OneLine, context_settings=HELP)
@click.option("--seconds", type=click.IntRange(min=1), default=SECONDS, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder for the recording; default: tests/recordings/nvml-PRODUCT",
)
def main(seconds: int, out: Path | None) -> None:
    """Print what the NVIDIA devices here serve and save a recording; say so if there are none."""
    for line in hardware(NvmlSource(), SystemClock(), time.sleep, seconds=seconds, out=out):
        click.echo(line)


def hardware(
    source: NvmlSource,
    clock: Clock,
    wait: Callable[[float], None],
    *,
    seconds: int,
    out: Path | None,
) -> Iterator[str]:
    """Yield the lines of the table, and write the recording; ``wait`` sleeps so many seconds.

    Raises ``Refused`` where the recording cannot be written.
    """
    try:
        shards = source.shards()
    except SourceUnavailable as unavailable:
        yield f"no NVIDIA device to read: {unavailable.reason}"
        return
    try:
        readings, took = _looked(source, clock, wait)
        yield from table(shards, source, readings)
        yield f"a tick took {1e3 * median(took):.2f} ms, {1e3 * max(took):.2f} ms at most"
        folder = named(RECORDINGS, shards) if out is None else out
        pace = Pace(clock, Grid(1.0), seconds, _always(wait))
        yield f"{folder}: {_recorded(folder, source, pace)} ticks"
    finally:
        source.close()


def table(
    shards: Sequence[Shard], source: NvmlSource, readings: Iterable[Reading]
) -> Iterator[str]:
    """Yield what the devices are, and for each metric how many served it, with the last value."""
    for product, count in Counter(shard.sku for shard in shards).items():
        yield f"{count} x {product}, driver {source.identity().get('driver', 'unknown')}"
    served: dict[str, set[str]] = {}
    told: dict[str, str] = {}
    for reading in readings:
        devices = served.setdefault(reading.metric, set())
        if isinstance(reading.value, Absent):
            why = f"{reading.value.kind} {reading.value.code}".strip()
            told[reading.metric] = told[reading.metric] if devices else why
        else:
            devices.add(reading.shard)
            unit = source.catalogue.of(reading.metric).unit
            told[reading.metric] = f"{reading.value:.6g} {unit}"
    for metric in sorted(served):
        yield f"  {metric:<42}{len(served[metric]):>3}  {told[metric]}"
    for (uuid, metric), count in sorted(source.rejected.items()):
        yield f"  refused: {metric} of {uuid}, {count} times"


def named(folder: Path, shards: Sequence[Shard]) -> Path:
    """Return a free place in ``folder`` that bears the product's name."""
    product = sub(r"[^a-z0-9]+", "-", shards[0].sku.lower()).strip("-")
    places = (
        folder / f"nvml-{product}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 99)))
    )
    return next(place for place in places if not place.exists())


def _looked(
    source: NvmlSource, clock: Clock, wait: Callable[[float], None]
) -> tuple[list[Reading], list[float]]:
    """Return the readings of some ticks, and the seconds that each of them took."""
    readings: list[Reading] = []
    took: list[float] = []
    for _ in range(LOOKS):
        began = clock.monotonic()
        readings += source.read(clock.now())
        took.append(clock.monotonic() - began)
        wait(1.0)
    return readings, took


def _always(wait: Callable[[float], None]) -> Callable[[float], bool]:
    def waited(left: float) -> bool:
        wait(left)
        return True

    return waited


def _recorded(folder: Path, source: NvmlSource, pace: Pace) -> int:
    try:
        return record(folder, [source], "hardware", pace, click.echo)
    except (BadRecording, ValueError) as bad:
        raise Refused(str(bad)) from None


if __name__ == "__main__":
    main()
