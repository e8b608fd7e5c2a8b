"""What one document of neuron-monitor says, group by group, each with its own period and error.

Apart from the process and from the arithmetic, because the format drifts between releases and is
all that has to be put to garbage: nothing here keeps a state or touches a file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..document import is_number, is_tellable

Found = TypeVar("Found")
Told_co = TypeVar("Told_co", covariant=True)
Taken = Mapping[str, object]

MALFORMED = "malformed"  # the error of a group that is not what its name says
MOST = 4096  # runtimes, cores or devices of a host; more are not believed

# Cores that a chip has; releases differ in whether they tell these or the logical ones.
_PHYSICAL = {"trainium2": 8, "trainium3": 8}
_LONGEST_TEXT = 200


class BadReport(ValueError):  # noqa: N818 - named for what it says
    """Say why a document is no report of neuron-monitor, in one line."""


@dataclass(frozen=True, slots=True)
class Group(Generic[Told_co]):
    """What a group ``found`` over the last ``period`` seconds, None where it has an ``error``.

    ``period`` is 0 where the group does not tell it.
    """

    found: Told_co | None
    period: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Executions:
    """What ended in a period: ``errors`` of all kinds, and the time on the device in seconds.

    ``p50`` and ``p99`` are None where nothing was executed.
    """

    errors: float
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """One process: per logical core of the host its use in percent and its memory in bytes.

    A group that the report does not hold is None.
    """

    pid: int
    cores: Group[Mapping[int, float]] | None = None
    memory: Group[Mapping[int, float]] | None = None
    executions: Group[Executions] | None = None


@dataclass(frozen=True, slots=True)
class EccErrors:
    """Errors of a device in a period; None where the report does not tell."""

    corrected: float | None = None
    sram_corrected: float | None = None
    uncorrected: float | None = None
    sram_uncorrected: float | None = None


@dataclass(frozen=True, slots=True)
class Hardware:
    """The devices of the host; "" and 0 where nobody says. ``memory`` is bytes of one device."""

    device_type: str = ""
    devices: int = 0
    cores_per_device: int = 0
    memory: float = 0.0
    about: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One document."""

    runtimes: tuple[Runtime, ...] = ()
    ecc: Group[Mapping[int, EccErrors]] | None = None
    hardware: Hardware = Hardware()
    instance: tuple[tuple[str, str], ...] = ()


def parse_report(document: object) -> Report:
    """Return what ``document`` says; raise ``BadReport`` if it is no report at all.

    A group that is malformed fails alone, and what is not known is passed over.
    """
    top = _object(document)
    if top is None or not any(key in top for key in _TOP):
        message = f"a document of neuron-monitor has none of {', '.join(_TOP)}"
        raise BadReport(message)
    runtimes = top.get("neuron_runtime_data")
    if runtimes is not None and not isinstance(runtimes, list):
        message = "neuron_runtime_data of neuron-monitor is no list"
        raise BadReport(message)
    system = _object(top.get("system_data")) or {}
    return Report(
        runtimes=tuple(_runtime(item) for item in (runtimes or [])[:MOST]),
        ecc=_group(system, "neuron_hw_counters", _ecc),
        hardware=_hardware(_object(top.get("neuron_hardware_info")) or {}),
        instance=_texts(_object(top.get("instance_info")) or {}, _INSTANCE),
    )


_TOP = ("neuron_runtime_data", "system_data", "neuron_hardware_info")
_INSTANCE = ("instance_id", "instance_type", "ami_id")
_HARDWARE = ("neuron_device_type", "neuron_device_version", "neuroncore_version")


def _runtime(item: object) -> Runtime:
    about = _object(item) or {}
    pid = about.get("pid")
    number = pid if isinstance(pid, int) and not isinstance(pid, bool) else -1
    report = _object(about.get("report")) or {}
    failed = _error(about.get("error"))
    if failed and not report:  # nothing could be collected of this process
        return Runtime(number, Group(None, 0, failed), Group(None, 0, failed))
    return Runtime(
        number,
        _group(report, "neuroncore_counters", _cores),
        _group(report, "memory_used", _memory),
        _group(report, "execution_stats", _executions),
    )


def _group(holder: Taken, name: str, read: Callable[[Taken], Found | None]) -> Group[Found] | None:
    if name not in holder:
        return None
    fields = _object(holder[name])
    if fields is None:
        return Group(None, 0.0, MALFORMED)
    told = fields.get("period")
    period = float(told) if is_number(told) and told > 0 else 0.0
    error = _error(fields.get("error"))
    if error:
        return Group(None, period, error)
    found = read(fields)
    return Group(None, period, MALFORMED) if found is None else Group(found, period)


def _cores(fields: Taken) -> Mapping[int, float] | None:
    return _by_index(
        fields.get("neuroncores_in_use"),
        lambda core: _number((_object(core) or {}).get("neuroncore_utilization")),
    )


def _memory(fields: Taken) -> Mapping[int, float] | None:
    used = _object(fields.get("neuron_runtime_used_bytes")) or {}
    breakdown = _object(used.get("usage_breakdown")) or {}
    return _by_index(breakdown.get("neuroncore_memory_usage"), _sum)


def _executions(fields: Taken) -> Executions | None:
    errors = _sum(fields.get("error_summary"))
    if errors is None:
        return None
    latency = _object(_object(fields.get("latency_stats") or {}) or {})
    device = _object((latency or {}).get("device_latency")) or {}
    return Executions(errors, _number(device.get("p50")), _number(device.get("p99")))


def _ecc(fields: Taken) -> Mapping[int, EccErrors] | None:
    devices = fields.get("neuron_devices")
    if not isinstance(devices, list):
        return None
    found: dict[int, EccErrors] = {}
    for item in devices[:MOST]:
        device = _object(item) or {}
        index = _index(device.get("neuron_device_index"))
        if index is not None:
            found[index] = EccErrors(
                corrected=_number(device.get("mem_ecc_corrected")),
                sram_corrected=_number(device.get("sram_ecc_corrected")),
                uncorrected=_number(device.get("mem_ecc_uncorrected")),
                sram_uncorrected=_number(device.get("sram_ecc_uncorrected")),
            )
    return found


def _hardware(info: Taken) -> Hardware:
    kind = _text(info.get("neuron_device_type"))
    told = _index(info.get("neuroncore_per_device_count")) or 0
    logical = _index(info.get("logical_neuroncore_config")) or 1
    physical = _PHYSICAL.get(kind)
    return Hardware(
        device_type=kind,
        devices=_index(info.get("neuron_device_count")) or 0,
        cores_per_device=told // logical if told == physical else told,
        memory=_number(info.get("neuron_device_memory_size")) or 0.0,
        about=(*_texts(info, _HARDWARE), ("logical_neuroncore_config", str(logical)))
        if told
        else (),
    )


def _by_index(value: object, read: Callable[[object], float | None]) -> Mapping[int, float] | None:
    """Return the numbers by index; those that are none are left out, None if there is no object."""
    items = _object(value)
    if items is None:
        return None
    found: dict[int, float] = {}
    for key, item in list(items.items())[:MOST]:
        index, number = _index(key), read(item)
        if index is not None and number is not None:
            found[index] = number
    return found


def _sum(value: object) -> float | None:
    """Return the sum of an object's numbers, None for what is no object or holds none."""
    items = _object(value)
    numbers = [float(n) for n in (items or {}).values() if is_number(n)]
    return sum(numbers) if numbers else None


def _number(value: object) -> float | None:
    return float(value) if is_number(value) else None


def _index(value: object) -> int | None:
    """Return ``value`` as an index below ``MOST``; keys of objects are text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len("99999"):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < MOST else None


def _object(value: object) -> Taken | None:
    return value if isinstance(value, dict) else None


def _error(value: object) -> str:
    """Return the vendor's error, "" for none; an error that is no text is one too."""
    if value is None or value == "":
        return ""
    return _text(value) or MALFORMED


def _text(value: object) -> str:
    told = value[:_LONGEST_TEXT] if isinstance(value, str) else ""
    return told if is_tellable(told) else ""


def _texts(info: Taken, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, told) for name in names if (told := _text(info.get(name))))
