"""A Trainium host, from the driver's files and neuron-monitor's reports to blocks and facts."""

from pathlib import Path

import numpy as np

from tessera.adapters.neuron.fake_files import change, write_host
from tessera.adapters.neuron.fake_monitor import document
from tessera.adapters.neuron.monitor import Monitor
from tessera.adapters.neuron.report import Report, parse_report
from tessera.adapters.neuron.source import NeuronSource
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, aggregator
from .hosts import STARTED, driven, planned, ticks


class Steady(Monitor):
    """A monitor that has one report each time that it is asked, and starts nothing."""

    said = 0

    def can_start(self) -> bool:
        return True

    def start(self) -> None:
        pass

    def reports(self) -> list[tuple[float, Report]]:
        self.said += 1
        return [(float(self.said), parse_report(document(2, 1, self.said)))]


async def test_a_neuron_hosts_counters_and_facts_go_up(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    root = tmp_path / "root"
    write_host(root, 2)
    source = NeuronSource(Steady(), root=root, host="host-0")
    async with (
        aggregator() as serving,
        driven(serving.address, tmp_path / "agent", clock, source) as agent,
    ):
        await planned(agent)
        column = agent.inventory.metrics.index("neuroncore_utilization_ratio")
        change(root, 1, "mem_ecc_uncorrected", "3\n")
        await ticks(agent, clock, 2 * RUNG)
        await serving.until(lambda: bool(serving.up1) and bool(serving.facts))
    assert np.isfinite(serving.up1[-1].x[:, column]).all()
    assert [(fact.code, fact.shard) for fact in serving.facts] == [
        ("ecc_uncorrected", "neuron-5e00000000000001")
    ]
