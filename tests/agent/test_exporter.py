"""A slow exporter's pages through the agent's intake: rates, blocks, facts."""

import numpy as np
import pytest

from tessera.adapters.base import Reading
from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.nvidia.fake_exporter import FakeExporter, FakeGpu
from tessera.adapters.nvidia.xid import classify
from tessera.agent.facts import Facts
from tessera.agent.intake import Intake
from tessera.agent.inventory import catalogue_of, judged_metrics

from ..adapters.nvidia.exporters import BEGAN, INTERVAL, Asked

RUNG = 120


def test_an_exporters_gauges_make_blocks_and_its_counters_rates() -> None:
    with FakeExporter([FakeGpu("GPU-1", values={155: 300.0, 156: 0.0})]) as exporter:
        asked = Asked(exporter)
        asked.read()
        catalogue = catalogue_of([asked.source], default_catalogue())
        rows = judged_metrics(["power_watts", "energy_joules_total"], catalogue)
        assert [row.refresh for row in rows] == [INTERVAL, INTERVAL]
        intake = Intake(["GPU-1"], rows, 1.0, [row.refresh for row in rows])
        intake.watch({RUNG: np.array([0, 1])})
        blocks = []
        start = BEGAN - BEGAN % RUNG
        for second in range(4 * RUNG):
            if second % 30 == 7:  # the exporter collects
                exporter.gpus[0].values[156] += 300.0 * 30 * 1000
            readings = asked.wait(10.0) if second % 10 == 0 else asked.read()
            asked.clock.now -= 10.0 * (second % 10 == 0) - 1.0
            values, _ = intake.matrix(readings)
            blocks += intake.push(start + second, values)
    assert len(blocks) == 4
    energy, power = blocks[-1].x[0]
    assert power == 300.0
    assert energy == pytest.approx(300.0)


def test_a_storm_of_application_codes_raises_no_fact_and_one_of_hardware_raises_one() -> None:
    facts, readings = Facts(), list[Reading]()
    with FakeExporter([FakeGpu("GPU-1", values={155: 300.0, 156: 0.0, 230: 0.0})]) as exporter:
        asked = Asked(exporter, classify)
        shown = exporter.gpus[0]
        for page in range(1, 21):
            shown.xids = {13: 500 * page} | ({79: page - 9} if page >= 10 else {})
            shown.values[230] = 79.0 if page >= 10 else 13.0
            readings = asked.collect()
            for fact in asked.source.facts(BEGAN):
                facts.say(fact.code, fact.at, stands=fact.stands, shard=fact.shard)
    assert [(fact.shard, fact.code) for fact in facts] == [("GPU-1", "xid_79")]
    assert [r.value for r in readings if r.metric == "xid_application"] == [10_000.0]
