"""The calls of NVML that read a device, typed, each raising ``NvmlFailed`` with the library's code.

Apart, because the vendor's binding has no types. Only this file, ``field_batch`` and ``gpm`` call
it, and none of them holds a call that sets or clears anything.
"""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import pynvml  # type: ignore[import-untyped]  # it ships no types: this file gives them

from .border import Handle, calls
from .errors import NOT_FOUND, NvmlFailed

_CHASSIS, _PLACES = slice(20, 36), slice(36, 41)  # bytes of nvmlPlatformInfo_v2_t
_Bytes = Iterable[int]

_CORRECTED, _SINCE_LOADED, _SRAM = 0, 0, 7  # kind of error, counter that a reload clears, place


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a device in bytes."""

    used: int
    total: int


@dataclass(frozen=True, slots=True)
class FabricInfo:
    """What a device says of its NVLink fabric, in the library's numbers."""

    state: int
    status: int
    cluster: bytes
    clique: int
    health: int


@dataclass(frozen=True, slots=True)
class Slice:
    """One MIG slice: its handle, its two instance numbers, and the product as sold by the slice."""

    device: Handle
    gpu_instance: int
    compute_instance: int
    product: str


@calls("nvmlInit")
def initialise() -> None:
    """Load the library if need be and start it; pairs with ``shut_down``."""
    pynvml.nvmlInit()


@calls("nvmlShutdown")
def shut_down() -> None:
    """Stop the library; every handle is void afterwards. It stays loaded."""
    pynvml.nvmlShutdown()


@calls("nvmlDeviceGetCount")
def device_count() -> int:
    """Return how many devices the library knows."""
    return int(pynvml.nvmlDeviceGetCount())


@calls("nvmlDeviceGetHandleByIndex")
def handle_at(index: int) -> Handle:
    """Return the device at ``index``; indices are not stable from start to start."""
    return Handle(pynvml.nvmlDeviceGetHandleByIndex(index))


@calls("nvmlDeviceGetHandleByUUID")
def handle_of(uuid: str) -> Handle:
    """Return the device whose UUID is ``uuid``."""
    return Handle(pynvml.nvmlDeviceGetHandleByUUID(uuid))


@calls("nvmlDeviceGetUUID")
def uuid_of(device: Handle) -> str:
    """Return the UUID, the name under which a device is known everywhere."""
    return str(pynvml.nvmlDeviceGetUUID(device))


@calls("nvmlDeviceGetName")
def product_of(device: Handle) -> str:
    """Return the name of the product."""
    return str(pynvml.nvmlDeviceGetName(device))


@calls("nvmlDeviceGetTemperatureV")
def temperature(device: Handle) -> int:
    """Return °C by the call that newer drivers keep."""
    return int(pynvml.nvmlDeviceGetTemperatureV(device, pynvml.NVML_TEMPERATURE_GPU))


@calls("nvmlDeviceGetTemperature")
def temperature_as_before(device: Handle) -> int:
    """Return °C by the call that every driver up to CUDA 13 has."""
    return int(pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU))


@calls("nvmlDeviceGetPowerUsage")
def power(device: Handle) -> int:
    """Return milliwatts: a mean over one second, or of the instant on older parts."""
    return int(pynvml.nvmlDeviceGetPowerUsage(device))


@calls("nvmlDeviceGetClockInfo")
def sm_clock(device: Handle) -> int:
    """Return MHz."""
    return int(pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM))


@calls("nvmlDeviceGetClockInfo")
def memory_clock(device: Handle) -> int:
    """Return MHz."""
    return int(pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_MEM))


@calls("nvmlDeviceGetUtilizationRates")
def utilization(device: Handle) -> int:
    """Return the per cent of time in which any kernel ran; not served under MIG."""
    return int(pynvml.nvmlDeviceGetUtilizationRates(device).gpu)


@calls("nvmlDeviceGetMemoryInfo")
def memory(device: Handle) -> Memory:
    """Return the memory in use, what the driver reserves for itself not included."""
    found = pynvml.nvmlDeviceGetMemoryInfo(device, version=pynvml.nvmlMemory_v2)
    return Memory(int(found.used), int(found.total))


@calls("nvmlDeviceGetMemoryInfo")
def memory_as_before(device: Handle) -> Memory:
    """Return the memory in use, the driver's share included: all that older drivers tell."""
    found = pynvml.nvmlDeviceGetMemoryInfo(device)
    return Memory(int(found.used), int(found.total))


@calls("nvmlDeviceGetCurrentClocksEventReasons")
def clocks_event_reasons(device: Handle) -> int:
    """Return why clocks are held down now: bits 1 idle … 0x40 hardware thermal, 0x80 brake."""
    return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(device))


@calls("nvmlDeviceGetCurrPcieLinkWidth")
def pcie_link_width(device: Handle) -> int:
    """Return how many PCIe lanes are in use now."""
    return int(pynvml.nvmlDeviceGetCurrPcieLinkWidth(device))


@calls("nvmlDeviceGetCurrPcieLinkGeneration")
def pcie_link_generation(device: Handle) -> int:
    """Return the PCIe generation at which the link runs now; an idle device lowers it."""
    return int(pynvml.nvmlDeviceGetCurrPcieLinkGeneration(device))


@calls("nvmlDeviceGetMemoryErrorCounter")
def sram_ecc_corrected(device: Handle) -> int:
    """Return the corrected errors of the on-chip memory since the driver was loaded."""
    count = pynvml.nvmlDeviceGetMemoryErrorCounter(device, _CORRECTED, _SINCE_LOADED, _SRAM)
    return int(count)


@calls("nvmlSystemGetDriverVersion")
def driver_version() -> str:
    """Return the version of the driver."""
    return str(pynvml.nvmlSystemGetDriverVersion())


@calls("nvmlDeviceGetVbiosVersion")
def vbios(device: Handle) -> str:
    """Return the version of the firmware in the device's flash."""
    return str(pynvml.nvmlDeviceGetVbiosVersion(device))


@calls("nvmlDeviceGetInforomImageVersion")
def inforom(device: Handle) -> str:
    """Return the version of the board's information store."""
    return str(pynvml.nvmlDeviceGetInforomImageVersion(device))


@calls("nvmlDeviceGetGspFirmwareVersion")
def gsp_firmware(device: Handle) -> str:
    """Return the version of the firmware of the device's own system processor."""
    raw: object = pynvml.nvmlDeviceGetGspFirmwareVersion(device)  # alone among texts not decoded
    return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)


@calls("nvmlDeviceGetPowerManagementLimit")
def power_cap(device: Handle) -> int:
    """Return the limit that was asked for, in milliwatts."""
    return int(pynvml.nvmlDeviceGetPowerManagementLimit(device))


@calls("nvmlDeviceGetApplicationsClock")
def application_clocks(device: Handle) -> tuple[int, int]:
    """Return the clocks of multiprocessors and memory that applications asked for, in MHz."""
    kinds = (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM)
    sm, memory_ = (int(pynvml.nvmlDeviceGetApplicationsClock(device, kind)) for kind in kinds)
    return sm, memory_


@calls("nvmlDeviceGetEccMode")
def has_ecc(device: Handle) -> bool:
    """Say whether memory is protected now."""
    return bool(pynvml.nvmlDeviceGetEccMode(device)[0])


@calls("nvmlDeviceGetGpuFabricInfoV")
def fabric(device: Handle) -> FabricInfo:
    """Return what the device says of its NVLink fabric; Hopper and later."""
    said = pynvml.c_nvmlGpuFabricInfoV_t()
    pynvml.nvmlDeviceGetGpuFabricInfoV(device, ctypes.byref(said))
    return FabricInfo(
        state=int(said.state),
        status=int(said.status),
        cluster=bytes(cast("_Bytes", said.clusterUuid)),
        clique=int(said.cliqueId),
        health=int(said.healthMask),
    )


@calls("nvmlDeviceGetPlatformInfo")
def position(device: Handle) -> str:
    """Return chassis/slot/tray/host/module, where a device stands in its rack; Blackwell on."""
    said = pynvml.c_nvmlPlatformInfo_v2_t()
    pynvml.nvmlDeviceGetPlatformInfo(device, ctypes.byref(said))
    raw = memoryview(said).cast("B")  # the binding gives its numbers as letters
    chassis = bytes(raw[_CHASSIS]).split(b"\0")[0].decode("ascii", "replace")
    slot, tray, host, _, module = raw[_PLACES]
    return f"{chassis}/{slot}/{tray}/{host}/{module}"


@calls("nvmlDeviceGetMigMode")
def is_sliced(device: Handle) -> bool:
    """Say whether the device is in MIG mode now."""
    return bool(pynvml.nvmlDeviceGetMigMode(device)[0])


@calls("nvmlDeviceGetMaxMigDeviceCount")
def most_slices(device: Handle) -> int:
    """Return into how many slices the device can be cut."""
    return int(pynvml.nvmlDeviceGetMaxMigDeviceCount(device))


@calls("nvmlDeviceGetMigDeviceHandleByIndex")
def _slice_at(device: Handle, index: int) -> Slice:
    found = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index)
    return Slice(
        device=Handle(found),
        gpu_instance=int(pynvml.nvmlDeviceGetGpuInstanceId(found)),
        compute_instance=int(pynvml.nvmlDeviceGetComputeInstanceId(found)),
        product=str(pynvml.nvmlDeviceGetName(found)),
    )


def slices(device: Handle) -> tuple[Slice, ...]:
    """Return the MIG slices of ``device``; places where it could have more are passed over."""
    found: list[Slice] = []
    for index in range(most_slices(device)):
        try:
            found.append(_slice_at(device, index))
        except NvmlFailed as failed:
            if failed.code != NOT_FOUND:
                raise
    return tuple(found)
