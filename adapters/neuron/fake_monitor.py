"""A neuron-monitor made of numbers, that can misbehave as the real one might.

Apart and shipped, because tests, demonstrations and the hunt for crashes need a Neuron host on
machines without one: ``python -m tessera.adapters.neuron.fake_monitor --misbehave hang``.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, TypeAlias

Document: TypeAlias = dict[str, object]
Write: TypeAlias = Callable[[str], None]

PID: Final = 4711
MISBEHAVIOURS: Final = (
    "partial",  # documents in pieces, over several lines
    "garbage",  # what is no JSON between documents
    "hang",  # silent after a few documents
    "exit",  # gone after a few documents
    "large",  # a document that never ends
    "deaf",  # does not end when it is asked to
    "mute",  # never says anything
    "strange",  # JSON that is no report
)
_GOOD = 3  # documents before it misbehaves


def document(
    devices: int, seed: int, step: int, *, cores: int = 4, period: float = 1.0
) -> Document:
    """Return what a host of ``devices`` Trainium2 chips of ``cores`` cores says at ``step``."""
    random = Random(f"{seed} {step}")  # noqa: S311 - numbers for a fake, no secret
    count = devices * cores
    return {
        "neuron_runtime_data": [_runtime(random, count, period)],
        "system_data": {"neuron_hw_counters": _ecc(devices, period)},
        "instance_info": {
            "instance_id": "i-0fa4e00000000000f",
            "instance_type": "trn2.48xlarge",
            "ami_id": "ami-0fa4e00000000000f",
            "error": "",
        },
        "neuron_hardware_info": {
            "neuron_device_type": "trainium2",
            "neuron_device_version": "v4",
            "neuroncore_version": "v3d",
            "neuron_device_count": devices,
            "neuron_device_memory_size": 96 * 2**30,
            "neuroncore_per_device_count": cores,
            "logical_neuroncore_config": 2,
            "error": "",
        },
    }


def _runtime(random: Random, cores: int, period: float) -> Document:
    busy = {str(core): _core(random, core) for core in range(cores)}
    held = {str(core): {"constants": 2**28, "tensors": 2**30} for core in range(cores)}
    latency = 0.02 * (1 + 0.01 * random.random())
    device = {"p0": latency * 0.9, "p50": latency, "p99": latency * 1.1, "p100": latency * 1.2}
    report: Document = {
        "neuroncore_counters": _group(random, period, neuroncores_in_use=busy),
        "execution_stats": _group(
            random,
            period,
            error_summary={"generic": 0, "numerical": 0, "transient": 0, "hardware": 0},
            execution_summary={"completed": 40, "completed_with_err": 0},
            latency_stats={"total_latency": device, "device_latency": device},
        ),
        "memory_used": _group(
            random,
            period,
            neuron_runtime_used_bytes={
                "host": 2**30,
                "neuron_device": cores * (2**30 + 2**28),
                "usage_breakdown": {"neuroncore_memory_usage": held},
            },
            loaded_models=[],
        ),
    }
    return {"pid": PID, "neuron_runtime_tag": "fake", "error": "", "report": report}


def _core(random: Random, core: int) -> Document:
    percent = 60 + 10 * random.random()
    halves = {f"nc_v3.{2 * core + n}": {"neuroncore_utilization": percent} for n in (0, 1)}
    return {"neuroncore_utilization": percent, "flops": 10**12, "v3d": halves}


def _ecc(devices: int, period: float) -> Document:
    kinds = ("mem_ecc_corrected", "mem_ecc_uncorrected", "sram_ecc_corrected")
    zeros = dict.fromkeys((*kinds, "sram_ecc_uncorrected"), 0)
    told = [{"neuron_device_index": device, **zeros} for device in range(devices)]
    return {"period": period, "neuron_devices": told, "error": ""}


def _group(
    random: Random, period: float, **fields: Mapping[str, object] | list[object]
) -> Document:
    return {"period": period * (1 + 1e-3 * random.random()), **fields, "error": ""}


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _say(
    step: int, report: Document, misbehave: str, write: Write, rest: Callable[[], None]
) -> None:
    """Write ``report`` in the way of ``misbehave``."""
    line = json.dumps(report) + "\n"
    if misbehave == "partial":
        text = json.dumps(report, indent=1) + "\n"
        for start in range(0, len(text), 1000):
            write(text[start : start + 1000])
    elif misbehave == "garbage":
        write(f"WARN step {step} {{not json}} \x00\ufffd\n{line}}} trailing\n")
    elif misbehave == "strange":
        write('{"hello": [1, 2, {"3": 4}]}\n' + (line if step < _GOOD else ""))
    elif misbehave == "mute" or (misbehave == "hang" and step >= _GOOD):
        while True:
            rest()
    elif misbehave == "exit" and step >= _GOOD:
        sys.exit(3)
    elif misbehave == "large" and step % 2:
        write('{"neuron_runtime_data": [' + '{"pid": 1},\n ' * 100_000 + "\n" + line)
    else:
        write(line)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write reports until ended, or ``--steps`` of them."""
    parser = argparse.ArgumentParser(description="Write what neuron-monitor would write.")
    parser.add_argument("-c", "--config-file", help="is read for its period")
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--period", type=float, help="seconds; comes before the configuration's")
    parser.add_argument("--steps", type=int, default=2**62)
    parser.add_argument("--misbehave", choices=MISBEHAVIOURS, default="")
    told = parser.parse_args(arguments)
    if told.misbehave == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    period = told.period or _period(told.config_file)
    for step in range(told.steps):
        report = document(told.devices, told.seed, step, period=period)
        _say(step, report, told.misbehave, _write, lambda: time.sleep(period))
        time.sleep(period)


def _period(file: str | None) -> float:
    if file is None:
        return 5.0  # as the real one without a configuration
    with open(file, encoding="utf-8") as text:  # noqa: PTH123 - argparse gives a name
        return float(json.load(text)["period"].removesuffix("s"))


if __name__ == "__main__":
    main()
