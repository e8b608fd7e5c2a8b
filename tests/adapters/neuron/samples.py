import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tessera.adapters.neuron.report import Report, parse_report

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "samples" / "neuron"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/reference is absent")

_CORES = {
    "4": {"neuroncore_utilization": 30.0, "flops": 9},
    "5": {"neuroncore_utilization": 50.0, "flops": 9},
}


def trn1(  # noqa: PLR0913  one parameter for each group that a test changes
    *,
    pid: int = 77,
    cores: object = _CORES,
    errors: object = None,
    p50: float | None = 0.25,
    ecc: Sequence[object] = (),
    period: float = 1.003,
    error: str = "",
    busy: bool = True,
) -> dict[str, object]:
    """Return a document of a trn1.32xlarge: 16 devices of 2 cores, one process on device 2."""
    percentiles = None if p50 is None else {"p1": p50 / 2, "p50": p50, "p99": 2 * p50}
    report = {
        "neuroncore_counters": {"period": period, "neuroncores_in_use": cores, "error": error},
        "execution_stats": {
            "period": period,
            "error_summary": errors or {"generic": 0, "numerical": 0},
            "latency_stats": {"total_latency": {"p50": 9.0}, "device_latency": percentiles},
            "error": "",
        },
        "memory_used": {
            "period": period,
            "neuron_runtime_used_bytes": {
                "usage_breakdown": {
                    "neuroncore_memory_usage": {
                        "4": {"constants": 100, "tensors": 20},
                        "5": {"a": 3},
                    }
                }
            },
            "error": "",
        },
    }
    runtime = {"pid": pid, "neuron_runtime_tag": str(pid), "error": "", "report": report}
    return {
        "neuron_runtime_data": [runtime] if busy else [],
        "system_data": {
            "neuron_hw_counters": {"period": period, "neuron_devices": list(ecc), "error": ""}
        },
        "instance_info": {
            "instance_id": "i-0b",
            "instance_type": "trn1.32xlarge",
            "ami_id": "ami-0b",
        },
        "neuron_hardware_info": {
            "neuron_device_type": "trainium",
            "neuron_device_version": "v2",
            "neuroncore_version": "v2",
            "neuron_device_count": 16,
            "neuron_device_memory_size": 32 * 2**30,
            "neuroncore_per_device_count": 2,
            "logical_neuroncore_config": 1,
            "error": "",
        },
    }


def errors_of(device: int, **counts: int) -> dict[str, int]:
    return {"neuron_device_index": device, **counts}


def parsed(document: object) -> Report:
    return parse_report(json.loads(json.dumps(document)))
