"""What one device runs on: firmware, caps, modes, its place in the fabric.

Apart from its counters, because a change of these is an event that explains and no evidence.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from . import binding
from .border import Handle
from .errors import DOWN, LOST, UNSUPPORTED, Action, NvmlFailed, action_of
from .fabric import place_of, state_of, troubles_of

Element = Callable[[Handle], Mapping[str, str]]


def _one(name: str, call: Callable[[Handle], object]) -> Element:
    return lambda device: {name: str(call(device))}


def _application_clocks(device: Handle) -> Mapping[str, str]:
    sm, memory = binding.application_clocks(device)
    return {"application_clocks_mhz": f"{sm}/{memory}"}


def _ecc(device: Handle) -> Mapping[str, str]:
    return {"ecc": "on" if binding.has_ecc(device) else "off"}


FIXED: Final[Mapping[str, Element]] = {  # changes only with a reload of the driver
    "vbios": _one("vbios", binding.vbios),
    "inforom": _one("inforom", binding.inforom),
    "gsp_firmware": _one("gsp_firmware", binding.gsp_firmware),
    "position": _one("position", binding.position),
}
MOVING: Final[Mapping[str, Element]] = {
    "power_cap_mw": _one("power_cap_mw", binding.power_cap),
    "application_clocks_mhz": _application_clocks,
    "ecc": _ecc,
}


class Makeup:
    """The elements of one device; what it does not support is not asked again.

    ``elements`` are those known, ``slices`` its MIG slices (none while ``sliced`` is False), and
    ``troubles`` those of its fabric, None where it does not say.
    """

    def __init__(self, device: Handle) -> None:
        """Take the device; nothing is asked yet."""
        self.elements: dict[str, str] = {}
        self.sliced = False
        self.slices: tuple[binding.Slice, ...] = ()
        self.troubles: tuple[str, ...] | None = None
        self._device = device
        self._never: set[str] = set()

    def read(self, *, fixed: bool = False) -> None:
        """Ask for the elements that may have changed; raise ``NvmlFailed`` for a lost device."""
        for name, element in ({**FIXED, **MOVING} if fixed else MOVING).items():
            self._try(name, partial(self._take, element))
        self._try("fabric", self._read_fabric)
        self._try("mig", self._read_slices)

    def _try(self, name: str, read: Callable[[], None]) -> None:
        if name in self._never:
            return
        try:
            read()
        except NvmlFailed as failed:
            if failed.code in LOST | DOWN:
                raise
            self.elements.pop(name, None)
            if failed.code in UNSUPPORTED or action_of(failed.code) is Action.SAY_ONCE:
                self._never.add(name)

    def _take(self, element: Element) -> None:
        self.elements |= element(self._device)

    def _read_fabric(self) -> None:
        self.troubles = None
        info = binding.fabric(self._device)
        self.troubles = troubles_of(info)
        self.elements["fabric_state"] = state_of(info)
        self.elements.pop("fabric", None)
        if place_of(info):  # while it is not known, nothing has changed
            self.elements["fabric"] = place_of(info)

    def _read_slices(self) -> None:
        self.sliced = binding.is_sliced(self._device)
        self.slices = binding.slices(self._device) if self.sliced else ()
        cut = " ".join(f"{one.gpu_instance}/{one.compute_instance}" for one in self.slices)
        self.elements["mig"] = f"on {cut}".strip() if self.sliced else "off"
