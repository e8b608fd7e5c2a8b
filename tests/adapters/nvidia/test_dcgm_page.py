"""Devices of a page, from pages of exporters of several years."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.exposition import Sample, parse
from tessera.adapters.nvidia.dcgm_fields import BY_NAME, XID_COUNT
from tessera.adapters.nvidia.dcgm_page import MOST, devices_of

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "reference" / "samples" / "dcgm"
LABEL = st.sampled_from(
    ["UUID", "uuid", "gpu_uuid", "GPU_I_ID", "nvlink", "nvswitch", "xid", "pod", "modelName"]
)
ROWS = st.builds(
    Sample,
    st.sampled_from([*BY_NAME, XID_COUNT, "up"]),
    st.dictionaries(LABEL, st.text(max_size=5)),
    st.floats(),
)


def test_rows_of_switches_and_of_the_host_are_no_device() -> None:
    page = parse(
        'DCGM_FI_DEV_GPU_TEMP{cpu="0"} 40\n'
        'DCGM_FI_DEV_NVSWITCH_TEMPERATURE_CURRENT{nvswitch="nvswitch0"} 40\n'
        'DCGM_FI_DEV_GPU_TEMP{nvswitch="nvswitch0",UUID="S-1"} 40\n'
        "go_goroutines 12\n"
    )
    assert devices_of(page.samples) == ()


def test_a_row_of_a_link_belongs_to_its_gpu_and_not_to_its_totals() -> None:
    page = parse(
        'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1",modelName="NVIDIA GB200"} 40\n'
        'DCGM_FI_DEV_NVLINK_COUNT_RX_SYMBOL_ERRORS{nvlink="3",gpu_uuid="GPU-1"} 7\n'
    )
    (device,) = devices_of(page.samples)
    assert device.raw == {150: 40.0}
    assert device.links == {1214: {"3": 7.0}}


def test_a_code_that_is_no_number_is_passed_over() -> None:
    rows = "".join(
        f'{XID_COUNT}{{UUID="GPU-1",xid="{code}"}} 1\n' for code in ("79", "", "x", "²", "99999999")
    )
    page = parse(f'DCGM_FI_DEV_GPU_TEMP{{UUID="GPU-1"}} 40\n{rows}')
    (device,) = devices_of(page.samples)
    assert device.xids == {79: 1.0}


def test_a_page_of_too_many_devices_is_cut() -> None:
    rows = [Sample("DCGM_FI_DEV_GPU_TEMP", {"UUID": str(n)}, 1.0) for n in range(MOST + 9)]
    assert len(devices_of(rows)) == MOST


@given(st.lists(ROWS, max_size=20))
def test_any_rows_make_devices_with_ids_of_their_own(rows: list[Sample]) -> None:
    ids = [device.id for device in devices_of(rows)]
    assert "" not in ids
    assert len(ids) <= len(rows)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/reference/samples is not there")
@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("metrics_label_Hostname_2024.txt", [("NVIDIA GeForce RTX 3090", "", {230: 0.0})]),
        (
            "metrics_v100_no_pci_label_2023.txt",
            [
                ("Tesla V100-SXM2-32GB", "", {160: 300.0}),
                ("Tesla V100-SXM2-32GB", "", {160: 300.0}),
                ("Tesla V100-SXM2-32GB", "", {202: 0.0}),
            ],
        ),
        ("metrics_label_hostname_2026_mig_pod.txt", []),
    ],
)
def test_pages_seen_in_the_field_have_these_devices(
    file: str, found: list[tuple[str, str, dict[int, float]]]
) -> None:
    page = parse((SAMPLES / file).read_text(encoding="utf-8"))
    assert [(d.sku, d.job, dict(d.raw)) for d in devices_of(page.samples)] == found
