"""Find the chip that a runtime's numbers belong to: cores and chips, one process or several.

Apart, because the vendor counts devices in two ways, and the rule for telling them apart is one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .runtime import DUTY_CYCLE, HBM_TOTAL, HBM_USED, Gauge, Told


@dataclass(frozen=True, slots=True)
class Measured:
    """What the runtimes say of one chip; None where they do not. ``taken`` as in ``Gauge``."""

    duty_cycle: float | None = None  # per cent
    used: float | None = None  # bytes of all its cores
    total: float | None = None
    taken: int = 0


def place(told: Sequence[Told], chips: int, cores: int) -> tuple[Mapping[int, Measured], int]:
    """Return what the ports ``told`` of each of ``chips`` with ``cores`` each, and what was left.

    Memory is counted by core and duty cycle by chip, both in the order of the chips. A port whose
    numbers begin below its own share of the host counts within its process: its chips are those
    of its place among the ports. What belongs to no chip is left over and counted.
    """
    found: dict[int, dict[str, list[Gauge]]] = {}
    left = 0
    for port, one in enumerate(told):
        for name, gauges in one.gauges.items():
            per_chip = 1 if name == DUTY_CYCLE and _by_chip(gauges, chips) else cores
            first = _first(gauges, port, len(told), chips * per_chip)
            for gauge in gauges:
                chip = (gauge.ordinal + first) // per_chip
                if chip < chips:
                    found.setdefault(chip, {}).setdefault(name, []).append(gauge)
                else:
                    left += 1
    return {chip: _measured(gauges, cores) for chip, gauges in found.items()}, left


def _by_chip(gauges: Iterable[Gauge], chips: int) -> bool:
    """Say whether numbers are those of chips; else each is that of a chip's first core."""
    return all(gauge.ordinal < chips for gauge in gauges)


def _first(gauges: Sequence[Gauge], port: int, ports: int, devices: int) -> int:
    """Return what to add to a port's numbers so that they count devices of the host."""
    share = devices // ports
    lowest = min((gauge.ordinal for gauge in gauges), default=0)
    return port * share if ports > 1 and lowest < port * share else 0


def _measured(gauges: Mapping[str, Sequence[Gauge]], cores: int) -> Measured:
    """Add up the cores of one chip; where one of them is missing there is no sum."""
    duty = gauges.get(DUTY_CYCLE, ())
    return Measured(
        duty_cycle=duty[0].value if duty else None,
        used=_sum(gauges.get(HBM_USED, ()), cores),
        total=_sum(gauges.get(HBM_TOTAL, ()), cores),
        taken=max((gauge.taken for each in gauges.values() for gauge in each), default=0),
    )


def _sum(gauges: Sequence[Gauge], cores: int) -> float | None:
    return sum(gauge.value for gauge in gauges) if len(gauges) == cores else None
