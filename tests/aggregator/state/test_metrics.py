from dataclasses import replace

from tessera.adapters.catalogue import default_catalogue
from tessera.aggregator.state.metrics import judged
from tessera.proto.messages import Inventory


def inventory(host: str, *metrics: str) -> Inventory:
    return Inventory(host, 1, (), metrics)


def test_the_metrics_of_all_hosts_are_judged_each_once_and_by_name() -> None:
    hosts = [inventory("a", "power_watts", "step_time_seconds"), inventory("b", "power_watts")]
    found = judged(hosts, default_catalogue(), 5)
    assert [m.name for m in found] == ["power_watts", "step_time_seconds"]


def test_the_order_of_hosts_and_of_their_metrics_does_not_matter() -> None:
    one = [inventory("a", "power_watts", "step_time_seconds"), inventory("b", "tokens_per_second")]
    other = [
        inventory("b", "tokens_per_second", "power_watts"),
        inventory("a", "step_time_seconds"),
    ]
    catalogue = default_catalogue()
    assert judged(one, catalogue, 5) == judged(other, catalogue, 5)


def test_events_and_states_are_not_judged_and_counts_are() -> None:
    host = inventory("a", "pcie_replays", "ecc_uncorrected", "pcie_link_width", "power_watts")
    found = judged([host], default_catalogue(), 5)
    assert [(m.name, m.counted) for m in found] == [("pcie_replays", True), ("power_watts", False)]


def test_no_block_is_shorter_than_the_shortest() -> None:
    (step_time,) = judged([inventory("a", "step_time_seconds")], default_catalogue(), 5)
    assert (step_time.fast, step_time.level) == (5, 5)
    assert step_time.slow > 5


def test_a_block_holds_three_values_of_the_slowest_source() -> None:
    exporter = replace(
        inventory("a", "pcie_replays", "power_watts", "temperature_celsius"),
        refreshes=(30.0, 30.0, 0.0),
    )
    library = inventory("b", "pcie_replays", "power_watts", "temperature_celsius")
    found = judged([exporter, library], default_catalogue(), 5)
    assert [(m.name, m.fast, m.slow > m.fast) for m in found] == [
        ("pcie_replays", 120, False),
        ("power_watts", 120, True),
        ("temperature_celsius", 60, True),
    ]
    assert found[1].refresh == 120.0
    assert [m.fast for m in judged([library], default_catalogue(), 5)] == [60, 5, 60]


def test_scores_are_judged_beside_their_metric_where_the_catalogue_asks_for_them() -> None:
    host = inventory("a", "power_watts", "power_watts/spread", "temperature_celsius/spread")
    found = judged([host], default_catalogue(), 5)
    assert [m.name for m in found] == ["power_watts", "power_watts/spread"]
    assert [m.score for m in found] == ["mean", "spread"]
    assert found[1].fast == 30


def test_scores_that_are_switched_off_are_not_judged() -> None:
    host = inventory("a", "power_watts", "power_watts/spread", "power_watts/spike")
    found = judged([host], replace(default_catalogue(), scores=("spike",)), 5)
    assert [m.name for m in found] == ["power_watts", "power_watts/spike"]


def test_the_slowest_reader_of_a_metric_decides_how_long_the_blocks_of_its_scores_are() -> None:
    columns = "power_watts", "power_watts/spread"
    hosts = [inventory("a", *columns), replace(inventory("b", *columns), interval=5.0)]
    assert judged(hosts, default_catalogue(), 5)[1].fast == 300
    assert judged(hosts[:1], default_catalogue(), 5)[1].fast == 30
