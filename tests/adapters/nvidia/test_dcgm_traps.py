"""The traps of the vendor's interfaces that lie between an exporter and its reader, by number."""

import csv
from pathlib import Path

import pytest

from tessera.adapters.base import Absent
from tessera.adapters.nvidia.dcgm_fields import BY_ID, FIELDS
from tessera.adapters.nvidia.fake_exporter import NAMESPACED, NEW, OLD, FakeExporter, Spelling

from .exporters import Asked, gpu, values

ALIASES = (
    Path(__file__).resolve().parents[4]
    / "shared/reference/samples/dcgm/field_name_aliases_dcgm_4.6.csv"
)

# What DCGM gives where it has no value: not there, not found, not supported, not permitted.
LONGS = [2**63 - 16 + n for n in range(4)]
INTEGERS = [2**31 - 16 + n for n in range(4)]
DOUBLES = [2**47 + n for n in range(4)]
README = 9223372036854775794


@pytest.mark.parametrize("spelling", [OLD, NEW, NAMESPACED, Spelling(host="hostname")])
def test_trap_4_fields_are_known_by_number_under_old_and_new_names_and_labels(
    spelling: Spelling,
) -> None:
    shown = gpu(0)
    shown.values = {field.id: 1.0 for field in FIELDS}
    with FakeExporter([shown], spelling) as exporter:
        found = values(Asked(exporter).read())
    assert set(found) == {f.metric for f in FIELDS if f.metric} | {"xid_application"}
    assert not any(isinstance(value, Absent) for value in found.values())


@pytest.mark.skipif(not ALIASES.is_file(), reason="../shared/reference/samples is not there")
def test_trap_4_both_names_of_every_renamed_field_are_known() -> None:
    with ALIASES.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["field_id"]) in BY_ID]
    assert len(rows) > 20
    for row in rows:
        names = BY_ID[int(row["field_id"])].names
        assert (row["old_name"], row["new_name_4.6"]) == names


def test_no_two_fields_have_a_name_or_number_in_common() -> None:
    assert len(BY_ID) == len(FIELDS)
    names = [name for field in FIELDS for name in field.names]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("blank", [README, *LONGS, *INTEGERS, *DOUBLES])
def test_trap_5_a_sentinel_is_rejected_and_counted_in_every_field(blank: int) -> None:
    shown = gpu(0)
    shown.values = {field.id: float(blank) for field in FIELDS}
    with FakeExporter([shown]) as exporter:
        asked = Asked(exporter)
        found = values(asked.read())
        metrics = {field.metric for field in FIELDS if field.metric}
        assert found == dict.fromkeys(metrics, Absent("error", "impossible")) | {
            "xid_application": 0.0
        }
        assert asked.source.rejected == {(shown.uuid, metric): 1 for metric in metrics}
        assert asked.source.facts(0.0) == []
