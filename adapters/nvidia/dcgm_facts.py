"""The hard events that an exporter's pages show of one device, each with its beginning and end.

Apart from its readings, because a fact stands from one page to the next until pages say otherwise.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..base import Fact
from ..condition import CLEAR, Condition
from .dcgm_fields import (
    BY_ID,
    ECC_UNCORRECTED,
    EVENT_REASONS,
    RECOVERY_ACTION,
    ROW_REMAP_FAILED,
    XID_ERRORS,
)
from .dcgm_page import Device

Classify = Callable[[int], str]

HELD: Final = 30.0  # seconds for which clocks must be held down

HARDWARE: Final = "hardware"
_HELD = {0x20 | 0x40: "thermal_slowdown", 0x80: "power_brake"}  # bits of the clocks' event reasons
_ECC: Final = "ecc_uncorrected"
_OTHERS: Final = frozenset({"row_remap_failure", "recovery_action", _ECC, *_HELD.values()})
_TOTALS = frozenset({156, 310, 311})  # energy and memory errors, since the driver was loaded
_ACTIONS = {1: "reset the GPU", 2: "reboot the node", 3: "drain P2P", 4: "drain and reset"}


class Conditions:
    """What one device's pages say of rows, recovery, memory errors, clocks and XIDs."""

    def __init__(self, shard: str, classify: Classify) -> None:
        """Take its id and what tells the class of an XID."""
        self._shard = shard
        self._before: Mapping[int, float] = {}
        self._conditions: dict[str, Condition] = {}
        self._ecc: tuple[int, float] | None = None  # the field and its value
        self._broken_memory = False
        self._xids = Xids(classify)
        self._standing: dict[int, bool] = {}  # XIDs, and whether the device began anew since then

    @property
    def counted(self) -> float | None:
        """How many XIDs that are no fact were seen; None where no page shows XIDs."""
        return self._xids.counted

    def resume(self, code: str, *, rebooted: bool) -> bool:
        """Take up a fact that a former process told; return whether its end would be seen."""
        name, _, number = code.partition("_")
        if name == "xid" and number.isdecimal():
            self._standing.setdefault(int(number), rebooted)
            # The exporter's last code was this one: if it is none by now, the device began anew.
            self._before = {**self._before, XID_ERRORS: float(number)}
        elif code not in _OTHERS:
            return False
        self._broken_memory |= code == _ECC
        after = HELD if code in _HELD.values() else 0.0
        self._conditions.setdefault(code, Condition(code, after)).stands = True
        return True

    def see(self, device: Device, at: float) -> Iterator[Fact]:
        """Take a fresh page's ``device`` and yield what began or ended with it."""
        raw = device.raw
        if ROW_REMAP_FAILED in raw:
            detail = "remapping of a memory row has failed"
            yield from self._is("row_remap_failure", raw, ROW_REMAP_FAILED, at, detail)
        if RECOVERY_ACTION in raw:
            detail = _ACTIONS.get(int(min(raw[RECOVERY_ACTION], 99)), "recovery")
            yield from self._is("recovery_action", raw, RECOVERY_ACTION, at, f"asked: {detail}")
        yield from self._memory(raw, at)
        yield from self._clocks(raw, at)
        yield from self._errors(device, at)

    def _is(
        self, code: str, raw: Mapping[int, float], number: int, at: float, detail: str
    ) -> Iterator[Fact]:
        if BY_ID[number].possible(raw[number]):
            yield from self._condition(code).see(self._shard, at, detail, on=raw[number] > 0)

    def _condition(self, code: str, after: float = 0.0, clear: float = CLEAR) -> Condition:
        return self._conditions.setdefault(code, Condition(code, after, clear))

    def _memory(self, raw: Mapping[int, float], at: float) -> Iterator[Fact]:
        """Yield uncorrected errors of memory when they rise; a total that begins anew ends them."""
        number = next((number for number in ECC_UNCORRECTED if number in raw), None)
        if number is None or not BY_ID[number].possible(raw[number]):
            return
        now, before = raw[number], self._ecc
        self._ecc = (number, now)
        if before is None and now == 0:
            self._broken_memory = False  # begun anew since a former process told of it
        if before is not None and before[0] == number and now != before[1]:
            self._broken_memory = now > before[1]
        detail = f"uncorrected memory errors: {now:.0f}"
        condition = self._condition(_ECC)
        yield from condition.see(self._shard, at, detail, on=self._broken_memory)

    def _clocks(self, raw: Mapping[int, float], at: float) -> Iterator[Fact]:
        if EVENT_REASONS not in raw or not BY_ID[EVENT_REASONS].possible(raw[EVENT_REASONS]):
            return
        bits = int(raw[EVENT_REASONS])
        for bit, code in _HELD.items():
            condition = self._condition(code, HELD)
            yield from condition.see(self._shard, at, "clocks are held down", on=bool(bits & bit))

    def _errors(self, device: Device, at: float) -> Iterator[Fact]:
        """Yield hardware XIDs, and their end: a device begun anew that asks for no recovery.

        It is never their silence: a device that must be reset may well be silent.
        """
        raw = device.raw
        if _anew(self._before, raw):
            self._standing = dict.fromkeys(self._standing, True)
        self._before = raw
        for code, times in self._xids.see(device):
            self._standing[code] = False
            detail = f"XID {code}, {times:.0f} times on one page" if times > 1 else f"XID {code}"
            yield from self._condition(f"xid_{code}").see(self._shard, at, detail, on=True)
        recovering = raw.get(RECOVERY_ACTION, 0.0) != 0
        for code, anew in list(self._standing.items()):
            condition = self._condition(f"xid_{code}")
            detail = "the device began anew"
            yield from condition.see(self._shard, at, detail, on=recovering or not anew)
            if not condition.stands:
                del self._standing[code]


def _anew(before: Mapping[int, float], now: Mapping[int, float]) -> bool:
    """Say whether a device was reset, or its driver loaded, between two pages."""
    fell = any(
        now.get(number, before[number]) < before[number] for number in _TOTALS & before.keys()
    )
    return fell or (before.get(XID_ERRORS, 0.0) != 0 and now.get(XID_ERRORS) == 0)


class Xids:
    """Tell new XIDs of one device from those that pages only repeat.

    The exporter's count over its window is preferred: two alike in a row are two there. The other
    field is the last code for ever, so a change of it is the event, and its first value is none.
    """

    def __init__(self, classify: Classify) -> None:
        """Take what tells a code's class; all but ``hardware`` are counted."""
        self._classify = classify
        self._counts: Mapping[int, float] = {}
        self._last: float | None = None
        self._owed: set[int] = set()  # counted by their change already, and not yet by the count
        self.counted: float | None = None

    def see(self, device: Device) -> Iterator[tuple[int, float]]:
        """Yield each hardware code that is new on this page, and how many times."""
        last = device.raw.get(XID_ERRORS)
        if self.counted is None and (last is not None or device.xids):
            self.counted = 0.0
        for code, times in [*self._by_count(device.xids), *self._by_change(last, device.xids)]:
            if self._classify(code) == HARDWARE:
                yield code, times
            else:
                self.counted = (self.counted or 0.0) + times

    def _by_count(self, now: Mapping[int, float]) -> list[tuple[int, float]]:
        before, self._counts = self._counts, {c: n for c, n in now.items() if 0 <= n <= 2.0**53}
        risen = {code: n - before.get(code, 0.0) for code, n in self._counts.items()}
        for code in self._owed & {code for code, n in risen.items() if n > 0}:
            risen[code] -= 1
        self._owed -= now.keys()
        return [(code, times) for code, times in risen.items() if times > 0]

    def _by_change(self, now: float | None, counts: Mapping[int, float]) -> list[tuple[int, float]]:
        if now is None or not BY_ID[XID_ERRORS].possible(now):
            return []
        before, self._last = self._last, now
        if before is None or now in {before, 0.0} or int(now) in counts:
            return []
        self._owed.add(int(now))
        return [(int(now), 1.0)]
