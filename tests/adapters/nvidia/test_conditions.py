from tessera.adapters.base import Fact
from tessera.adapters.nvidia.conditions import Conditions
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeDevice, FakeFabric, FakeField
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed

BUSY, IDLE = 0, 1


def told(conditions: Conditions) -> list[tuple[str, bool]]:
    return [(fact.code, fact.stands) for fact in conditions.news()]


def counted(
    conditions: Conditions, at: float, reasons: int | None = BUSY, **values: float
) -> list[tuple[str, bool]]:
    conditions.counted("GPU-a", at, values, reasons)
    return told(conditions)


def braked(reasons: int | None, ticks: range) -> list[Fact]:
    conditions = Conditions()
    for at in ticks:
        conditions.held("GPU-a", float(at), reasons)
    return list(conditions.news())


def test_a_brake_held_for_half_a_minute_is_a_fact() -> None:
    (fact,) = braked(0x80, range(31))
    assert fact == Fact(
        "GPU-a", "power_brake", 30.0, stands=True, detail="clocks_event_reasons 0x80"
    )
    assert [f.code for f in braked(0x40, range(31))] == ["thermal_slowdown"]
    assert [f.code for f in braked(0x20, range(31))] == ["thermal_slowdown"]


def test_a_brake_held_for_less_a_power_cap_and_silence_are_none() -> None:
    assert braked(0x80, range(30)) == []
    assert braked(0x1 | 0x2 | 0x4 | 0x10 | 0x100, range(600)) == []
    assert braked(None, range(600)) == []


def test_uncorrected_errors_are_a_fact_when_they_rise_and_until_the_driver_is_reloaded() -> None:
    conditions = Conditions()
    assert counted(conditions, 0.0, ecc_uncorrected=3.0) == []
    assert counted(conditions, 10.0, ecc_uncorrected=3.0) == []
    assert counted(conditions, 20.0, ecc_uncorrected=4.0) == [("ecc_uncorrected", True)]
    for at in range(30, 1000, 10):
        assert counted(conditions, float(at), ecc_uncorrected=4.0) == []
    assert counted(conditions, 1000.0) == []
    assert counted(conditions, 1010.0, ecc_uncorrected=0.0) == []
    assert counted(conditions, 1060.0, ecc_uncorrected=0.0) == []
    assert counted(conditions, 1070.0, ecc_uncorrected=0.0) == [("ecc_uncorrected", False)]


def test_a_failed_remap_and_a_recovery_that_is_asked_for_are_facts() -> None:
    conditions = Conditions()
    conditions.counted("GPU-a", 0.0, {"row_remap_failure": 1.0, "recovery_action": 2.0}, BUSY)
    remap, recovery = conditions.news()
    assert (remap.code, recovery.code) == ("row_remap_failure", "recovery_action")
    assert recovery.detail == "the driver asks: reboot the node"
    well = {"row_remap_failure": 0.0, "recovery_action": 0.0}
    assert counted(conditions, 10.0, BUSY, **well) == []
    assert counted(conditions, 70.0, BUSY, **well) == [
        ("row_remap_failure", False),
        ("recovery_action", False),
    ]


def test_a_link_that_is_found_narrower_twice_is_a_fact_until_it_is_as_wide_again() -> None:
    conditions = Conditions()
    assert counted(conditions, 0.0, pcie_link_width=16.0) == []
    assert counted(conditions, 10.0, pcie_link_width=8.0) == []
    conditions.counted("GPU-a", 20.0, {"pcie_link_width": 8.0}, BUSY)
    (fact,) = conditions.news()
    assert (fact.code, fact.detail) == ("pcie_link_width", "8 of 16")
    assert counted(conditions, 30.0, pcie_link_width=16.0) == []
    assert counted(conditions, 90.0, pcie_link_width=16.0) == [("pcie_link_width", False)]


def test_a_link_that_always_was_narrow_is_no_fact() -> None:
    conditions = Conditions()
    for at in range(0, 600, 10):
        assert counted(conditions, float(at), pcie_link_width=8.0, nvlink_active_links=0.0) == []


def test_a_device_that_idles_may_lower_its_generation() -> None:
    conditions = Conditions()
    counted(conditions, 0.0, pcie_link_generation=5.0)
    for at in range(10, 600, 10):
        assert counted(conditions, float(at), IDLE, pcie_link_generation=1.0) == []
        assert counted(conditions, at + 5.0, None, pcie_link_generation=1.0) == []
    assert counted(conditions, 600.0, pcie_link_generation=1.0) == []
    assert counted(conditions, 610.0, pcie_link_generation=1.0) == [("pcie_link_generation", True)]


def test_the_source_tells_what_its_devices_show(library: FakeLibrary) -> None:
    source = NvmlSource()
    source.shards()
    source.read(0.0)
    assert list(source.facts(0.0)) == []
    library.devices[0].fields[4] = FakeField(1)
    library.devices[1].fields[(165, 5)] = FakeField(0, "uiVal")
    library.devices[2].reasons = 0x80
    library.devices[3].fabric = FakeFabric(health=0xA9)
    library.devices[4].fields[230] = FakeField(1, "uiVal")
    library.devices[5].lost = 15
    found: list[Fact] = []
    for at in range(1, 60):
        source.read(float(at))
        found += source.facts(float(at))
    assert {(fact.shard, fact.code, fact.stands) for fact in found} == {
        ("GPU-0", "ecc_uncorrected", True),
        ("GPU-1", "nvlink_active_links", True),
        ("GPU-2", "power_brake", True),
        ("GPU-3", "fabric_unhealthy", True),
        ("GPU-4", "recovery_action", True),
        ("GPU-5", "device_lost", True),
    }
    assert len(found) == 6
    details = {fact.shard: fact.detail for fact in found}
    assert details["GPU-3"] == "degraded_bandwidth"
    assert details["GPU-5"] == "GPU_IS_LOST"


def test_a_device_that_was_lost_before_it_had_a_name_is_a_fact_of_the_host(
    library: FakeLibrary,
) -> None:
    library.devices[2].lost = 15
    source = NvmlSource()
    source.shards()
    source.read(0.0)
    source.read(5.0)
    (fact,) = source.facts(5.0)
    assert fact == Fact("", "device_lost", 5.0, stands=True, detail="device 2: GPU_IS_LOST")


def test_a_device_that_is_lost_by_name_is_not_told_twice(library: FakeLibrary) -> None:
    source = NvmlSource()
    source.shards()
    library.devices[2].lost = 15
    source.read(0.0)
    source.shards()
    source.read(1.0)
    assert [fact.shard for fact in source.facts(1.0)] == ["GPU-2"]


def test_memory_errors_told_by_a_former_process_end_with_the_count_alone() -> None:
    conditions = Conditions()
    conditions.resume([("GPU-a", "ecc_uncorrected")], rebooted=False)
    for at in range(0, 300, 10):
        assert counted(conditions, float(at), ecc_uncorrected=4.0) == []
    assert counted(conditions, 300.0, ecc_uncorrected=0.0) == []
    assert counted(conditions, 360.0, ecc_uncorrected=0.0) == [("ecc_uncorrected", False)]


def test_a_link_that_had_shrunk_before_the_start_is_narrow_until_it_is_like_its_neighbours() -> (
    None
):
    conditions, ended = Conditions(), []
    conditions.resume([("GPU-a", "pcie_link_width")], rebooted=False)
    for at in range(0, 600, 10):
        width = 8.0 if at < 300 else 16.0
        conditions.counted("GPU-a", float(at), {"pcie_link_width": width}, BUSY)
        conditions.counted("GPU-b", float(at), {"pcie_link_width": 16.0}, BUSY)
        ended += [(fact.shard, fact.at, fact.stands) for fact in conditions.news()]
    assert ended == [("GPU-a", 360.0, False)]


def test_a_boot_ends_what_was_known_of_a_link() -> None:
    conditions = Conditions()
    conditions.resume([("GPU-a", "pcie_link_width")], rebooted=True)
    told_ = [counted(conditions, float(at), pcie_link_width=8.0) for at in range(0, 70, 10)]
    assert told_ == [*[[]] * 6, [("pcie_link_width", False)]]


def test_a_fabric_that_goes_down_has_not_become_well() -> None:
    library = FakeLibrary([FakeDevice("GPU-a", fabric=FakeFabric(health=0x9A))])
    source, facts = NvmlSource(), list[Fact]()
    with installed(library):
        source.shards()
        for at in range(100):
            source.read(float(at))
            facts += source.facts(float(at))
            library.devices[0].fabric = FakeFabric(state=2, health=0)
        assert [(fact.code, fact.stands) for fact in facts] == [("fabric_unhealthy", True)]
