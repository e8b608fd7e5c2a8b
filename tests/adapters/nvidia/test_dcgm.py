"""The source over an exporter: what is fresh, what is stale, who is lost."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tessera.adapters.base import Absent, Resuming, SourceUnavailable
from tessera.adapters.http_page import BadUrl
from tessera.adapters.nvidia.dcgm import DcgmSource
from tessera.adapters.nvidia.dcgm_page import MOST
from tessera.adapters.nvidia.fake_exporter import NAMESPACED, NEW, OLD, FakeExporter, Spelling

from .exporters import BEGAN, INTERVAL, Asked, gpu, values

UUIDS = [gpu(number).uuid for number in range(3)]


@pytest.fixture
def exporter() -> Iterator[FakeExporter]:
    with FakeExporter([gpu(0), gpu(1)]) as made:
        yield made


def hardware(code: int) -> str:
    return "hardware" if code == 79 else "application"


def test_a_page_is_read_in_base_units(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    assert [shard.id for shard in asked.source.shards()] == UUIDS[:2]
    assert values(asked.read(), UUIDS[1]) == {
        "sm_clock_hertz": 1.755e9,
        "temperature_celsius": 52.0,
        "power_watts": 410.5,
        "energy_joules_total": 9e5,
        "utilization_ratio": 0.97,
        "memory_used_bytes": 40_000 * 2.0**20,
        "xid_application": 0.0,
    }


@pytest.mark.parametrize("spelling", [OLD, NEW, NAMESPACED, Spelling(comma=", ")])
def test_every_spelling_gives_the_same_readings(spelling: Spelling) -> None:
    shown = gpu(0, f1002=0.5, f202=3, f409=2, f419=5)
    shown.pods = [("train-0", "ml", "main")]
    with FakeExporter([shown], OLD) as old, FakeExporter([shown], spelling) as other:
        usual, spelt = Asked(old), Asked(other)
        assert spelt.source.shards() == usual.source.shards()
        assert spelt.read() == usual.read()
    (shard,) = spelt.source.shards()
    assert (shard.sku, shard.job) == ("NVIDIA H100 80GB HBM3", "ml/train")


def test_a_page_that_was_read_is_not_read_again(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    asked.source.shards()
    assert len(asked.read()) > 0
    assert asked.read() == []
    assert asked.wait(10.0) == asked.wait(10.0) == []
    assert values(asked.collect(10.0), UUIDS[0])["energy_joules_total"] == (9e8 + 1) / 1000


def test_a_page_in_the_midst_of_a_collection_waits_for_its_whole(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    asked.read()
    assert asked.collect(0.4 * INTERVAL) == []
    assert values(asked.wait(0.2 * INTERVAL), UUIDS[0])["energy_joules_total"] == (9e8 + 1) / 1000


def test_rows_in_another_order_are_not_a_new_page(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    asked.read()
    exporter.gpus.reverse()
    assert asked.wait() == []


def test_an_exporter_that_collects_no_longer_is_stale(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    asked.read()
    assert asked.wait(3 * INTERVAL) == []
    stale = values(asked.wait(1.0), UUIDS[0])
    assert stale["power_watts"] == Absent("error", "stale")
    assert "memory_temperature_celsius" not in stale  # it never was on a page
    assert values(asked.collect(1.0), UUIDS[0])["power_watts"] == 410.5


@pytest.mark.parametrize(
    ("conduct", "code"),
    [
        ("fail", "http_503"),
        ("html", "no_metrics"),
        ("garbage", "no_metrics"),
        ("redirect", "redirected"),
        ("flood", "too_large"),
        ("break_off", "broken"),
    ],
)
def test_an_exporter_that_misbehaves_gives_errors_and_is_asked_on(
    exporter: FakeExporter, conduct: str, code: str
) -> None:
    asked = Asked(exporter)
    asked.read()
    exporter.conduct = conduct  # type: ignore[assignment]  # one of the conducts, as a table's word
    assert asked.collect(INTERVAL) == []
    assert values(asked.wait(1.0), UUIDS[0])["power_watts"] == Absent("error", code)
    exporter.conduct = "serve"
    assert values(asked.wait(1.0), UUIDS[0])["power_watts"] == 410.5


def test_an_exporter_that_hangs_holds_up_nothing(
    exporter: FakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.adapters.nvidia.dcgm._TIMEOUT", 0.05)
    asked = Asked(exporter)
    asked.read()
    exporter.conduct = "hang"
    asked.wait(INTERVAL + 1)
    assert values(asked.read(), UUIDS[0])["power_watts"] == Absent("error", "timeout")


def test_an_exporter_that_went_away_gives_errors_and_comes_back() -> None:
    with FakeExporter([gpu(0)]) as exporter:
        asked = Asked(exporter)
        asked.read()
    gone = values(asked.wait(INTERVAL + 1))
    assert gone["power_watts"] == Absent("error", "refused")
    assert [shard.id for shard in asked.source.shards()] == [gpu(0).uuid]


def test_a_host_without_an_exporter_says_so() -> None:
    with FakeExporter() as gone:
        pass
    source = DcgmSource(gone.url)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        source.shards()
    assert "dcgm" not in {thread.name for thread in threading.enumerate()}
    assert source.read(0.0) == []


def test_an_exporter_without_a_gpu_has_nothing() -> None:
    with FakeExporter() as empty, pytest.raises(SourceUnavailable, match="shows no GPU"):
        Asked(empty).source.shards()


def test_the_thread_of_a_source_fetches_by_itself_and_ends(exporter: FakeExporter) -> None:
    source = DcgmSource(exporter.url)
    assert len(source.shards()) == 2
    assert values(source.read(0.0), UUIDS[0])["power_watts"] == 410.5
    source.close()
    assert exporter.asked == 1


def test_a_gpu_that_fell_off_is_a_row_and_then_a_fact(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    asked.read()
    lost = exporter.gpus.pop(0)
    readings = asked.collect()
    assert values(readings, UUIDS[0])["power_watts"] == Absent("error", "missing")
    assert values(readings, UUIDS[1])["power_watts"] == 410.5
    assert asked.source.facts(0.0) == []
    for _ in range(3):
        asked.collect()
    (fact,) = asked.source.facts(0.0)
    assert (fact.shard, fact.code, fact.stands) == (UUIDS[0], "device_lost", True)
    exporter.gpus.append(lost)
    for _ in range(3):
        asked.collect()
    (fact,) = asked.source.facts(0.0)
    assert (fact.code, fact.stands) == ("device_lost", False)


def test_a_gpu_that_stays_raises_no_fact(exporter: FakeExporter) -> None:
    asked = Asked(exporter, hardware)
    for _ in range(12):
        asked.collect()
    assert asked.source.facts(0.0) == []
    assert asked.source.rejected == {}


def test_an_exporter_of_ever_other_gpus_takes_no_memory_without_end() -> None:
    with FakeExporter([gpu(0)]) as exporter:
        asked = Asked(exporter)
        asked.read()
        for page in range(1, 4):
            exporter.gpus = [gpu(1000 * page + number) for number in range(500)]
            asked.collect()
        assert len(asked.source.shards()) == MOST


def test_slices_are_shards_beside_their_gpu() -> None:
    whole = gpu(0)
    part = replace(gpu(0), instance="7", profile="1g.10gb", values={252: 100.0, 1004: 0.25})
    with FakeExporter([whole, part]) as exporter:
        asked = Asked(exporter)
        shards = asked.source.shards()
        readings = asked.read()
    assert [(shard.id, shard.kind, shard.sku) for shard in shards] == [
        (whole.uuid, "gpu_shard", "NVIDIA H100 80GB HBM3 (MIG)"),
        (f"{whole.uuid}/7/0", "mig_slice", "NVIDIA H100 80GB HBM3 1g.10gb"),
    ]
    assert values(readings, f"{whole.uuid}/7/0") == {
        "memory_used_bytes": 100 * 2.0**20,
        "tensor_active_ratio": 0.25,
    }


def test_a_gpu_that_is_cut_anew_has_other_slices_and_lost_none() -> None:
    whole, part = gpu(0), replace(gpu(0), instance="7", profile="1g.10gb")
    with FakeExporter([whole, part]) as exporter:
        asked = Asked(exporter)
        asked.read()
        exporter.gpus[1] = replace(part, instance="9")
        for _ in range(5):
            asked.collect()
        assert [shard.id for shard in asked.source.shards()] == [whole.uuid, f"{whole.uuid}/9/0"]
        assert asked.source.facts(0.0) == []


def test_another_job_is_another_shard_and_several_jobs_are_none(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    exporter.gpus[0].pods = [("train-0", "ml", "main")]
    exporter.gpus[1].pods = [("serve-0", "ml", "main"), ("batch-0", "ml", "main")]
    asked.collect()
    assert [shard.job for shard in asked.source.shards()] == ["ml/train", ""]


def test_rows_for_each_job_are_one_reading(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    exporter.gpus[0].pods = [("a-0", "ml", "main"), ("b-0", "ml", "main")]
    readings = asked.collect()
    assert [r.value for r in readings if r.metric == "power_watts"] == [410.5, 410.5]


def test_it_says_how_seldom_it_is_new_and_what_it_yields(exporter: FakeExporter) -> None:
    asked = Asked(exporter)
    asked.source.shards()
    assert asked.source.catalogue.of("power_watts").refresh == INTERVAL
    assert asked.source.catalogue.of("step_time_seconds").refresh == 1.0
    found = values(asked.read(), UUIDS[0])
    assert set(asked.source.metrics) == set(found)


def test_versions_and_the_power_limit_are_its_identity(exporter: FakeExporter) -> None:
    exporter.gpus = [gpu(0, f160=700)]
    exporter.gpus[0].labels = {
        "DCGM_FI_DRIVER_VERSION": "570.10",
        "DCGM_FI_DEV_VBIOS_VERSION": "96.00",
    }
    asked = Asked(exporter)
    asked.source.shards()
    assert asked.source.identity() == {
        "driver": "570.10",
        f"{UUIDS[0]}/vbios": "96.00",
        f"{UUIDS[0]}/power_limit_watts": "700",
    }


@pytest.mark.parametrize(
    "url",
    ["9400", "ftp://host/metrics", "http://", "http://u:p@host/", "http://host:x/", "http://a b/"],
)
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(BadUrl, match="; write it like http"):
        DcgmSource(url)


def test_the_sentinel_of_a_power_limit_is_no_identity() -> None:
    with FakeExporter([gpu(f160=700.0)]) as exporter:
        asked = Asked(exporter)
        asked.read()
        assert set(asked.source.identity().values()) == {"700"}
        exporter.gpus[0].values[160] = 9223372036854775794.0
        asked.collect()
        assert asked.source.identity() == {}


def test_a_gpu_that_a_former_process_lost_is_lost_until_it_is_shown_for_a_minute() -> None:
    with FakeExporter([gpu()]) as exporter:
        asked = Asked(exporter)
        (shard,) = asked.source.shards()
        assert isinstance(asked.source, Resuming)
        told = [(shard.id, "device_lost"), (shard.id, "driver_unresponsive")]
        asked.source.resume(told, BEGAN, rebooted=False)
        asked.read()
        found = []
        for _ in range(4):
            asked.collect()
            found += list(asked.source.facts(BEGAN + asked.clock.now))
        assert [(fact.code, fact.stands) for fact in found] == [("device_lost", False)]
