"""What Prometheus is told: by a check of our own, and by its own tool where there is one."""

import re
import shutil
import subprocess
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from tessera.agent.exposition import Family, page
from tessera.agent.health import metrics
from tessera.agent.metrics import COUNTERS, GAUGES, families
from tessera.agent.usage import Usage, usage
from tessera.agent.vitals import Vitals
from tessera.proto.messages import ShardRow
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, aggregator
from .hosts import METRICS, SHARDS, STARTED, driven, planned, ticks

PROMTOOL = shutil.which("promtool") or ""
FULL = Vitals(
    host="host-0",
    link="up",
    tick_age=0.5,
    loop_age=0.5,
    checkpoint_age=12.0,
    clock_offset=-0.001,
    sources={"nvml": "ok", "workload": "silent"},
    hung={"workload": ""},
    took={"nvml": 0.0123},
    rejected={"power_watts": 3},
    facts=("driver_unresponsive", "xid_79"),
    counters={**dict.fromkeys(COUNTERS, 17), "up1_dropped": 4, "facts_dropped": 0, "new_thing": 1},
    evidence_age=7.5,
    certificate_ends=1.8e9,
    sample_ages={("GPU-1", "power_watts"): 0.25, ("GPU-2", "power_watts"): 100.0},
    shards=(
        ShardRow("GPU-1", "gpu_shard", "h200", "train", "worker"),
        ShardRow("GPU-2", "gpu_shard", 'a "quoted" \\ name\n', "", ""),
        ShardRow("GPU-3", "gpu_shard", "h200", "", ""),
    ),
    gauges=dict.fromkeys(GAUGES, 1.0),
)
EMPTY = Vitals(
    host="", link="starting", tick_age=nan, loop_age=nan, checkpoint_age=nan, clock_offset=nan
)
SERIES = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


def lines(vitals: Vitals) -> list[str]:
    return metrics(vitals).splitlines()


def values(vitals: Vitals, name: str) -> list[str]:
    return [line.removeprefix(name) for line in lines(vitals) if re.match(rf"{name}[{{ ]", line)]


@pytest.mark.skipif(not PROMTOOL, reason="no promtool here to check the page with")
@pytest.mark.parametrize("vitals", [FULL, EMPTY], ids=["full", "empty"])
def test_prometheus_own_tool_finds_nothing_to_blame(vitals: Vitals) -> None:
    done = subprocess.run(  # noqa: S603  a tool of the machine's
        [PROMTOOL, "check", "metrics"],
        input=metrics(vitals),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("vitals", [FULL, EMPTY], ids=["full", "empty"])
def test_every_series_has_help_type_good_names_and_fewer_than_ten_labels(vitals: Vitals) -> None:
    told: set[str] = set()
    for line in lines(vitals):
        if line.startswith("# HELP "):
            _, _, name, help_ = line.split(" ", 3)
            assert help_.endswith(".")
            assert name not in told  # one metric, one place
            told.add(name)
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert (kind == "counter") == name.endswith("_total")
            continue
        found = SERIES.fullmatch(line)
        assert found is not None, line
        assert found[1] in told
        assert found[1].startswith(("tessera_", "process_"))
        assert not re.search(r"percent|[a-z]ms$|[A-Z]", found[1])
        assert (found[2] or "").count('="') < 10


def test_what_is_not_known_is_left_out_and_never_a_number_that_was_made_up() -> None:
    body = metrics(EMPTY)
    assert "nan" not in body.lower()
    assert "tick_age" not in body
    assert "tessera_agent_up 0\n" in body
    assert "expiry" not in metrics(replace(EMPTY, certificate_ends=inf))


def test_a_device_is_up_while_any_of_its_counters_is_fresh_and_each_has_its_age() -> None:
    assert values(FULL, "tessera_device_up") == [
        '{shard="GPU-1"} 1',
        '{shard="GPU-2"} 0',
        '{shard="GPU-3"} 0',
    ]
    assert values(FULL, "tessera_sample_age_seconds") == [
        '{shard="GPU-1",metric="power_watts"} 0.25',
        '{shard="GPU-2",metric="power_watts"} 100',
    ]


def test_a_source_has_up_and_duration() -> None:
    name = "tessera_agent_source"
    assert values(FULL, f"{name}_up") == ['{source="nvml"} 1', '{source="workload"} 0']
    assert values(FULL, f"{name}_duration_seconds") == ['{source="nvml"} 0.0123']


def test_losses_and_rejects_are_counted_by_what_they_are_of() -> None:
    assert values(FULL, "tessera_agent_dropped_total") == ['{what="facts"} 0', '{what="up1"} 4']
    assert values(FULL, "tessera_agent_rejected_values_total") == ['{metric="power_watts"} 3']


def test_labels_are_escaped() -> None:
    info = values(FULL, "tessera_device_info")
    assert len(info) == 3
    assert r'sku="a \"quoted\" \\ name\n"' in info[1]


def test_every_number_that_has_help_is_told() -> None:
    names = {family.name for family in families(FULL, "1", Usage())}
    assert {f"tessera_agent_{name}_total" for name in COUNTERS} <= names
    assert {f"tessera_agent_{name}" for name in GAUGES} <= names


def test_a_family_without_known_samples_is_left_out() -> None:
    assert page([Family.one("tessera_x", "gauge", "X.", nan)]) == ""
    assert page([Family.one("tessera_x", "gauge", "X.", 2.5)]).endswith("tessera_x 2.5\n")


async def test_a_running_agent_tells_its_devices_and_how_old_its_evidence_is(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        assert values(agent.vitals(), "tessera_agent_evidence_age_seconds") == []
        assert await ticks(agent, clock, RUNG) == 1
        await serving.until(lambda: bool(serving.up2))
        clock.advance(3.0)
        told = agent.vitals()
    assert values(told, "tessera_agent_evidence_age_seconds") == [" 3"]
    assert values(told, "tessera_device_up") == [f'{{shard="{shard}"}} 1' for shard in SHARDS]
    assert len(values(told, "tessera_sample_age_seconds")) == len(SHARDS) * len(METRICS)
    assert values(told, "tessera_agent_source_up") == ['{source="seeded"} 1']
    info = values(told, "tessera_device_info")[0]
    assert 'host="host-0",shard="gpu-0",kind="gpu_shard",sku="h200",workload="train"' in info
    assert values(told, "tessera_agent_up") == [" 1"]
    (waiting,) = values(told, "tessera_agent_spool_bytes")
    (limit,) = values(told, "tessera_agent_spool_limit_bytes")
    assert 0 < float(waiting) < float(limit)


def test_this_process_costs_something() -> None:
    found = usage()
    assert 1 << 20 < found.resident < 1 << 36
    assert found.cpu > 0
    assert found.files >= 3


def test_a_kernel_without_these_files_costs_nothing_that_is_known(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("1 (a) b) S 1\n", encoding="ascii")
    body = page(families(EMPTY, "1", usage(tmp_path)))
    assert "process_" not in body
