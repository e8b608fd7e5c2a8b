"""Which of a device's counters are facts: memory that fails, a link that shrank, a brake held on.

Apart from reading them, because these need no statistics and must not wait for any.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from ..base import Fact
from ..standing import Standing

HELD: Final = 30.0  # seconds for which a device must be held down, DESIGN.md section 2
TWICE: Final = 5.0  # seconds: a link must be found narrower by two readings
SHRINKING: Final = ("pcie_link_width", "pcie_link_generation", "nvlink_active_links")

_IDLE: Final = 0x1  # bits of the reasons for which clocks are held down
_BRAKES: Final = {"thermal_slowdown": 0x20 | 0x40, "power_brake": 0x80}
CODES: Final = frozenset(
    {
        *("device_lost", "driver_down", "ecc_uncorrected", "fabric_unhealthy"),
        *("row_remap_failure", "recovery_action", *SHRINKING, *_BRAKES),
    }
)
_REMEDIES: Final = {
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain peer-to-peer traffic",
    4: "drain the GPU and reset it",
}


@dataclass(slots=True)
class _Past:
    """What a device had: most of each link, and its uncorrected errors before the last rise.

    ``narrow`` are the links that had more than this process has ever seen of them.
    """

    most: dict[str, float] = field(default_factory=dict)
    narrow: set[str] = field(default_factory=set)
    errors: float | None = None
    risen: bool = False


class Conditions:
    """The facts of NVIDIA devices; give it what is read, ask it for what is new."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._standing = Standing()
        self._past: dict[str, _Past] = {}

    def resume(
        self, standing: Iterable[tuple[str, str]], *, rebooted: bool
    ) -> list[tuple[str, str]]:
        """Take up the facts that a former process told, and return those that are ours.

        Memory errors since the driver was loaded are still the same ones. A link that had shrunk
        is still narrow until it is like its neighbours', or the host has booted.
        """
        ours = [(shard, code) for shard, code in standing if code in CODES]
        for shard, code in ours:
            self._standing.resume(shard, code)
            past = self._past.setdefault(shard, _Past())
            past.risen |= code == "ecc_uncorrected"
            if code in SHRINKING and not rebooted:
                past.narrow.add(code)
        return ours

    def held(self, uuid: str, at: float, reasons: int | None) -> None:
        """Take the bits that say why clocks are held down at ``at``; None: they are not known."""
        for code, bits in _BRAKES.items():
            holds = None if reasons is None else bool(reasons & bits)
            detail = "" if reasons is None else f"clocks_event_reasons 0x{reasons:x}"
            self._standing.see(uuid, code, at, holds=holds, after=HELD, detail=detail)

    def counted(
        self, uuid: str, at: float, values: Mapping[str, float], reasons: int | None
    ) -> None:
        """Take the slow ``values`` of a device in base units; those absent are not known."""
        past = self._past.setdefault(uuid, _Past())
        self._errors(uuid, at, past, values.get("ecc_uncorrected"))
        self._switches(uuid, at, values)
        idle = reasons is None or bool(reasons & _IDLE)
        for link in SHRINKING:
            value = values.get(link)
            if link == "pcie_link_generation" and idle:
                value = None  # an idle device lowers it to save power
            self._shrunk(uuid, at, link, past, value)

    def fabric(self, uuid: str, at: float, troubles: tuple[str, ...] | None) -> None:
        """Take what a device says is wrong with its fabric; None: it does not say."""
        holds = None if troubles is None else bool(troubles)
        detail = ", ".join(troubles or ())
        self._standing.see(uuid, "fabric_unhealthy", at, holds=holds, detail=detail)

    def lost(self, uuid: str, at: float, *, lost: bool | None, detail: str = "") -> None:
        """Take whether a device is gone; None: the driver is down and cannot say."""
        self._standing.see(uuid, "device_lost", at, holds=lost, detail=detail)

    def nameless(self, at: float, lost: Sequence[str]) -> None:
        """Take the devices that were lost before they could say who they are: of the host."""
        holds, detail = bool(lost), ", ".join(lost)
        self._standing.see("", "device_lost", at, holds=holds, after=TWICE, detail=detail)

    def down(self, at: float, *, down: bool, detail: str = "") -> None:
        """Take whether the driver is gone beneath a source that had it: a fact of the host."""
        self._standing.see("", "driver_down", at, holds=down, detail=detail)

    def news(self) -> Iterable[Fact]:
        """Return what began or ended since the last call."""
        return self._standing.news()

    def _errors(self, uuid: str, at: float, past: _Past, now: float | None) -> None:
        """See a rise, until the counter begins anew: by a reset, or a reload of the driver."""
        detail = ""
        if now is not None:
            if past.errors is not None and now != past.errors:
                past.risen = now > past.errors
                detail = f"{now:.0f} since the driver was loaded, {past.errors:.0f} before"
            elif past.errors is None and now == 0:
                past.risen = False  # begun anew since a former process told of it
            past.errors = now
            past.risen &= now > 0
        holds = None if now is None else past.risen
        self._standing.see(uuid, "ecc_uncorrected", at, holds=holds, detail=detail)

    def _switches(self, uuid: str, at: float, values: Mapping[str, float]) -> None:
        failure, action = values.get("row_remap_failure"), values.get("recovery_action")
        holds = None if failure is None else failure > 0
        self._standing.see(uuid, "row_remap_failure", at, holds=holds, detail="no spare row left")
        holds = None if action is None else action > 0
        remedy = _REMEDIES.get(int(action or 0), f"action {action}")
        detail = f"the driver asks: {remedy}"
        self._standing.see(uuid, "recovery_action", at, holds=holds, detail=detail)

    def _shrunk(self, uuid: str, at: float, link: str, past: _Past, now: float | None) -> None:
        most = past.most.get(link, 0.0)
        if now is not None:
            past.most[link] = max(most, now)
            most = self._before(link, past, now, most)
        holds = None if now is None else now < most
        detail = "" if now is None else f"{now:.0f} of {most:.0f}"
        self._standing.see(uuid, link, at, holds=holds, after=TWICE, detail=detail)

    def _before(self, link: str, past: _Past, now: float, most: float) -> float:
        """Return what a link had: of one narrow from the start what the widest neighbour has."""
        if link in past.narrow:
            others = (p.most.get(link, 0.0) for p in self._past.values() if link not in p.narrow)
            most = max(others, default=0.0) or inf
            if now >= most:
                past.narrow.remove(link)
        return most
