"""The hard events that an exporter's pages show of one device, each with its beginning and end.

Apart from its readings, because a fact stands from one page to the next until pages say otherwise.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..standing import Standing
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
XID: Final = "xid_"  # how the codes of these facts begin
LOST: Final = "device_lost"
_HELD = {0x20 | 0x40: "thermal_slowdown", 0x80: "power_brake"}  # bits of the clocks' event reasons
_TOTALS = frozenset({156, 310, 311})  # energy and memory errors, since the driver was loaded
CODES: Final = frozenset(
    {LOST, "row_remap_failure", "recovery_action", "ecc_uncorrected", *_HELD.values()}
)
_ACTIONS = {1: "reset the GPU", 2: "reboot the node", 3: "drain P2P", 4: "drain and reset"}


class Conditions:
    """What one device's pages say of rows, recovery, memory errors, clocks and XIDs.

    Values that no device can have say nothing.
    """

    def __init__(self, shard: str, classify: Classify, standing: Standing) -> None:
        """Take its id, what tells the class of an XID, and where facts begin and end."""
        self._shard = shard
        self._before: Mapping[int, float] = {}
        self._facts = standing
        self._ecc: tuple[int, float] | None = None  # the field and its value
        self._broken_memory = False
        self._xids = Xids(classify)
        self._standing: dict[int, bool] = {}  # XIDs, and whether the device began anew since then

    @property
    def counted(self) -> float | None:
        """How many XIDs that are no fact were seen; None where no page shows XIDs."""
        return self._xids.counted

    def resume(self, code: str, *, rebooted: bool) -> None:
        """Take up a fact that a former process told of this device."""
        self._broken_memory |= code == "ecc_uncorrected" and not rebooted
        number = code.removeprefix(XID)
        if number != code and number.isdecimal():
            self._standing[int(number)] = rebooted
            # The exporter's last code was this one: if it is none by now, the device began anew.
            self._before = {**self._before, XID_ERRORS: float(number)}

    def see(self, device: Device, at: float) -> None:
        """Take a fresh page's ``device``."""
        raw = {n: value for n, value in device.raw.items() if BY_ID[n].possible(value)}
        anew = _anew(self._before, raw)
        self._before = {**self._before, **raw}
        self._flag("row_remap_failure", raw.get(ROW_REMAP_FAILED), at, "a row was not remapped")
        action = raw.get(RECOVERY_ACTION)
        asked = _ACTIONS.get(int(action or 0), "recovery")
        self._flag("recovery_action", action, at, f"asked: {asked}")
        self._memory(raw, at, anew=anew)
        self._clocks(raw.get(EVENT_REASONS), at)
        self._errors(device, raw, at, anew=anew)

    def _flag(self, code: str, value: float | None, at: float, detail: str) -> None:
        holds = None if value is None else value > 0
        self._facts.see(self._shard, code, at, holds=holds, detail=detail)

    def _memory(self, raw: Mapping[int, float], at: float, *, anew: bool) -> None:
        """See uncorrected errors of memory when they rise; a device that begins anew ends them."""
        number = next((number for number in ECC_UNCORRECTED if number in raw), None)
        now = None if number is None else raw[number]
        if number is not None and now is not None:
            before, self._ecc = self._ecc, (number, now)
            risen = before is not None and before[0] == number and now > before[1]
            self._broken_memory = risen or (self._broken_memory and now > 0 and not anew)
        holds = None if now is None else self._broken_memory
        detail = f"uncorrected memory errors: {now or 0:.0f}"
        self._facts.see(self._shard, "ecc_uncorrected", at, holds=holds, detail=detail)

    def _clocks(self, reasons: float | None, at: float) -> None:
        for bit, code in _HELD.items():
            holds = None if reasons is None else bool(int(reasons) & bit)
            detail = "clocks are held down"
            self._facts.see(self._shard, code, at, holds=holds, after=HELD, detail=detail)

    def _errors(self, device: Device, raw: Mapping[int, float], at: float, *, anew: bool) -> None:
        """See hardware XIDs, and their end: a device begun anew that asks for no recovery.

        It is never their silence: a device that must be reset may well be silent.
        """
        if anew:
            self._standing = dict.fromkeys(self._standing, True)
        for code, times in self._xids.see(device):
            self._standing[code] = False
            detail = f"XID {code}, {times:.0f} times on one page" if times > 1 else f"XID {code}"
            self._facts.see(self._shard, f"{XID}{code}", at, holds=True, detail=detail)
        recovering = raw.get(RECOVERY_ACTION, 0.0) != 0
        for code, began_anew in list(self._standing.items()):
            holds, name = recovering or not began_anew, f"{XID}{code}"
            self._facts.see(self._shard, name, at, holds=holds, detail="the device began anew")
            if not self._facts.stands(self._shard, name):
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
