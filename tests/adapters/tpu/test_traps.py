"""The trap of the vendor's interfaces that lies in a TPU, by number."""

from pathlib import Path

from tessera.adapters.tpu.fake_runtime import FakeRuntime, FakeWorkload

from .hosts import IDLE, Asked, host, values


def test_trap_8_a_tpu_without_a_workload_is_idle_and_no_fault(tmp_path: Path) -> None:
    asked = Asked(host(tmp_path, 2))
    found = [values(asked.wait()) for _ in range(20)]
    nothing = {(n, m): IDLE for n in range(2) for m in ("duty_cycle_ratio", "hbm_used_bytes")}
    assert found == [nothing] * 20
    assert asked.source.facts(0.0) == []
    assert asked.source.rejected == {}
    assert asked.source.metrics == ("duty_cycle_ratio", "hbm_used_bytes")


def test_trap_8_a_workload_that_ends_leaves_an_idle_chip(tmp_path: Path) -> None:
    with FakeRuntime(FakeWorkload({0: 1e9}, {0: 3e10}, {0: 80.0})) as runtime:
        asked = Asked(host(tmp_path, 1), (runtime.port,))
        assert values(asked.wait())[0, "duty_cycle_ratio"] == 0.8
    assert values(asked.wait())[0, "duty_cycle_ratio"] == IDLE
    assert asked.source.facts(0.0) == []
