"""The page of GKE's device plugin."""

from tessera.adapters.exposition import parse
from tessera.adapters.tpu.plugin import Shown, shown_of

OWN = 'make="cloud-tpu",model="tpu-v6e-slice",tpu_topology="2x2"'
POD = 'container="main",namespace="ml",pod="train-worker-3"'
PAGE = f"""# HELP duty_cycle Share of time.
# TYPE duty_cycle gauge
duty_cycle_node{{accelerator_id="811-0",{OWN}}} 11
duty_cycle{{accelerator_id="811-0",{OWN},{POD}}} 97.5
duty_cycle_node{{accelerator_id="811-1",{OWN}}} 0
tensorcore_utilization{{accelerator_id="811-0",{OWN}}} 41
memory_bandwidth_utilization{{accelerator_id="811-0",{OWN}}} 62
memory_used{{accelerator_id="811-0",{OWN}}} 1e9
memory_total{{accelerator_id="811-0",{OWN}}} 3.3e10
"""


def test_chips_are_read_in_base_units_and_a_container_comes_before_the_node() -> None:
    assert shown_of(parse(PAGE).samples) == {
        0: Shown(
            {
                "duty_cycle_ratio": 0.975,
                "tensor_active_ratio": 0.41,
                "hbm_bandwidth_ratio": 0.62,
                "hbm_used_bytes": 1e9,
            },
            3.3e10,
            "ml/train-worker",
        ),
        1: Shown({"duty_cycle_ratio": 0.0}),
    }


def test_samples_of_others_are_passed_over() -> None:
    page = parse(
        'duty_cycle{make="nvidia",accelerator_id="GPU-1"} 50\n'
        "process_cpu_seconds_total 4\n"
        'duty_cycle{make="cloud-tpu",accelerator_id="abc"} 50\n'
        'duty_cycle{make="cloud-tpu"} 50\n'
    )
    assert shown_of(page.samples) == {}
