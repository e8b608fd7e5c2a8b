"""How a scripted NVIDIA device answers what it runs on: firmware, caps, modes, links, fabric.

Apart from its counters, because none of this moves by itself.
"""

from collections.abc import Callable, MutableSequence
from typing import Protocol

from .fake_device import OK, FakeDevice, Number, Text

_INVALID_ARGUMENT, _NOT_SUPPORTED, _WRONG_VERSION = 2, 3, 25
_SM, _MEM = 1, 2  # clock types
_CORRECTED, _SRAM = 0, 7
_FABRIC_VERSION = 0x2000024  # of the structure that the binding sends: 36 bytes, the second
_POSITION_VERSION = 0x200002C  # the same of where it stands: 44 bytes, the second
_MOST_SLICES = 7


class _Fabric(Protocol):
    version: int
    clusterUuid: MutableSequence[int]  # noqa: N815 - the binding's name
    status: int
    cliqueId: int  # noqa: N815 - the binding's name
    state: int
    healthMask: int  # noqa: N815 - the binding's name


class _Position(Protocol):
    version: int
    chassisSerialNumber: bytes  # noqa: N815 - the binding's name
    slotNumber: int  # noqa: N815 - the binding's name
    trayIndex: int  # noqa: N815 - the binding's name
    hostId: int  # noqa: N815 - the binding's name
    moduleId: int  # noqa: N815 - the binding's name


def _text(attribute: str) -> Callable[..., int]:
    def tell(device: FakeDevice, out: Text, length: object = None) -> int:
        del length
        out.value = str(getattr(device, attribute)).encode()
        return OK

    return tell


def _number(attribute: str) -> Callable[..., int]:
    def tell(device: FakeDevice, out: Number) -> int:
        out.value = getattr(device, attribute)
        return OK

    return tell


def _application_clock(device: FakeDevice, kind: Number, out: Number) -> int:
    sm, memory = device.application_clocks
    out.value = {_SM: sm, _MEM: memory}[kind.value]
    return OK


def _ecc_mode(device: FakeDevice, now: Number, pending: Number) -> int:
    now.value = pending.value = device.ecc
    return OK


def _mig_mode(device: FakeDevice, now: Number, pending: Number) -> int:
    now.value = pending.value = device.slices is not None
    return OK


def _most_slices(device: FakeDevice, out: Number) -> int:
    out.value = 0 if device.slices is None else _MOST_SLICES
    return OK


def _memory_errors(
    device: FakeDevice, kind: Number, counter: object, place: Number, out: Number
) -> int:
    del counter
    if (kind.value, place.value) != (_CORRECTED, _SRAM):
        return _NOT_SUPPORTED
    out.value = device.sram_ecc_corrected
    return OK


def _fabric(device: FakeDevice, out: _Fabric) -> int:
    if device.fabric is None:
        return _NOT_SUPPORTED
    if out.version != _FABRIC_VERSION:
        return _WRONG_VERSION
    said = device.fabric
    out.clusterUuid[:] = list(said.cluster)
    out.status, out.state = said.status, said.state
    out.cliqueId, out.healthMask = said.clique, said.health
    return OK


def _position(device: FakeDevice, out: _Position) -> int:
    if device.position is None:
        return _NOT_SUPPORTED
    if out.version != _POSITION_VERSION:
        return _WRONG_VERSION
    chassis, slot, tray, host, module = device.position
    out.chassisSerialNumber = chassis.encode()
    out.slotNumber, out.trayIndex, out.hostId, out.moduleId = slot, tray, host, module
    return OK


MAKEUP_CALLS: dict[str, Callable[..., int]] = {
    "nvmlDeviceGetCurrPcieLinkWidth": _number("pcie_width"),
    "nvmlDeviceGetCurrPcieLinkGeneration": _number("pcie_generation"),
    "nvmlDeviceGetMemoryErrorCounter": _memory_errors,
    "nvmlDeviceGetVbiosVersion": _text("vbios"),
    "nvmlDeviceGetInforomImageVersion": _text("inforom"),
    "nvmlDeviceGetGspFirmwareVersion": _text("gsp_firmware"),
    "nvmlDeviceGetPowerManagementLimit": _number("power_cap"),
    "nvmlDeviceGetApplicationsClock": _application_clock,
    "nvmlDeviceGetEccMode": _ecc_mode,
    "nvmlDeviceGetMigMode": _mig_mode,
    "nvmlDeviceGetMaxMigDeviceCount": _most_slices,
    "nvmlDeviceGetGpuFabricInfoV": _fabric,
    "nvmlDeviceGetPlatformInfo": _position,
}
