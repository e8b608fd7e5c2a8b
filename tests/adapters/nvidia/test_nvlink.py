import pytest

from tessera.adapters.base import Absent
from tessera.adapters.nvidia import nvlink
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import ALL_LINKS, FakeField, linked_anew
from tessera.adapters.nvidia.fake_library import FakeLibrary
from tessera.adapters.nvidia.units import bit_error_rate

METRICS = (*nvlink.TRAFFIC, *nvlink.ERRORS, nvlink.LINKS)


def links(source: NvmlSource, at: float) -> dict[str, float | Absent]:
    return {r.metric: r.value for r in source.read(at) if r.shard == "GPU-0"}


def opened() -> NvmlSource:
    source = NvmlSource()
    source.shards()
    return source


def without_links(library: FakeLibrary) -> None:
    device = library.devices[0]
    numbers = {38, 45, 52, 59, 91, 138, 139, 165}
    device.fields = {
        key: told
        for key, told in device.fields.items()
        if (key if isinstance(key, int) else key[0]) not in numbers
    }


def test_a_device_without_links_supports_none_of_their_metrics(library: FakeLibrary) -> None:
    without_links(library)
    found = links(opened(), 0.0)
    assert {found[metric] for metric in METRICS} == {Absent("unsupported")}


def test_the_fifth_generation_is_read_in_bytes_and_from_its_own_errors(
    library: FakeLibrary,
) -> None:
    without_links(library)
    device = library.devices[0]
    device.fields |= linked_anew()
    device.fields |= {(n, ALL_LINKS): FakeField(n) for n in range(206, 213)}
    device.fields |= {
        (213, ALL_LINKS): FakeField(1000),
        (215, ALL_LINKS): FakeField(6),
        (221, ALL_LINKS): FakeField(77),
        (222, ALL_LINKS): FakeField(0x30C),
    }
    source = opened()
    links(source, 0.0)
    device.fields[(202, ALL_LINKS)] = FakeField(10**12 + 4096)
    found = links(source, 10.0)
    assert {metric: found[metric] for metric in METRICS} == {
        "nvlink_tx_bytes_per_second": 409.6,
        "nvlink_rx_bytes_per_second": 0.0,
        "nvlink_packet_errors": float(sum(range(206, 213))),
        "nvlink_recoveries": 6.0,
        "nvlink_symbol_errors": 77.0,
        "nvlink_symbol_error_ratio": pytest.approx(3e-12),
        "nvlink_crc_errors": Absent("unsupported"),
        "nvlink_replays": Absent("unsupported"),
        "nvlink_active_links": 18.0,
    }


def test_links_that_cannot_be_told_now_are_told_later(library: FakeLibrary) -> None:
    device = library.devices[0]
    told = device.fields[91]
    device.fields[91] = FakeField(code=10)
    source = opened()
    assert nvlink.LINKS not in links(source, 0.0)
    device.fields[91] = told
    assert links(source, 10.0)[nvlink.LINKS] == 18.0


def test_links_asleep_are_up_and_those_closed_or_inactive_are_not(library: FakeLibrary) -> None:
    for link, state in enumerate((0, 1, 2, 3)):
        library.devices[0].fields[(165, link)] = FakeField(state, "uiVal")
    assert links(opened(), 0.0)[nvlink.LINKS] == 16.0


@pytest.mark.parametrize(
    ("code", "rate"), [(0xFFF, 0.0), (0x10F, 1e-15), (0xF00, 15.0), (0x500, 5.0), (0, 0.0)]
)
def test_a_bit_error_rate_is_a_mantissa_and_a_negative_exponent(code: int, rate: float) -> None:
    assert bit_error_rate(code) == pytest.approx(rate)
