import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tessera.adapters.recording import BadRecording, Event, Fact
from tessera.adapters.recording_read import read_recording, read_truth
from tessera.adapters.recording_write import Chunk, Outline, write_recording
from tessera.adapters.topology.model import Edge, Node, Topology

ODD = 'gpu,"0"'
TOPOLOGY = Topology(
    (Node("host", "host"), Node(ODD, "gpu_shard"), Node("gpu-1", "gpu_shard")),
    (Edge("host", ODD, "contains"), Edge("host", "gpu-1", "contains")),
)
OUTLINE = Outline(TOPOLOGY, TOPOLOGY.shards, ("a", "b"))


def chunk(values: object, start: int = 0) -> Chunk:
    array = np.asarray(values, dtype=np.float64)
    return Chunk(np.arange(start, start + len(array), dtype=np.float64), array)


@given(
    arrays.arrays(
        np.float64,
        (3, 2, 2),
        elements=st.floats(allow_infinity=False, allow_nan=True, width=64),
    )
)
@settings(derandomize=True, max_examples=25, deadline=None)
def test_every_finite_number_is_read_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray
) -> None:
    values[0, 0, 0], values[1, 0, 1], values[2, 0, 0] = 1.5, 2.5, 3.5  # no tick or metric is empty
    out = tmp_path_factory.mktemp("made") / "r"
    write_recording(out, OUTLINE, [chunk(values)], packed=False)
    np.testing.assert_array_equal(read_recording(out).values, values)


def test_codes_errors_facts_events_overrides_and_truth_come_back(tmp_path: Path) -> None:
    codes = np.array([[[0, 2], [3, 1]]], dtype=np.int8)
    made = Chunk(np.array([0.25]), np.full((1, 2, 2), 7.0), codes, {(0, 1, 0): "A,B"})
    outline = Outline(
        TOPOLOGY,
        TOPOLOGY.shards,
        ("a", "b"),
        facts=(Fact(1.5, "host", "X"), Fact(2.0, ODD, "Y", raised=False)),
        events=(Event("e1", "deploy", 3.0, 4.0, 5.0, ("host",), {"who": "me"}),),
        overrides={"a": {"unit": "W"}},
        truth={"open": ["host"]},
    )
    write_recording(tmp_path / "r", outline, [made])
    found = read_recording(tmp_path / "r")
    np.testing.assert_array_equal(found.codes, codes)
    assert found.errors == {(0, 1, 0): "A,B"}
    assert (found.times.tolist(), found.topology) == ([0.25], TOPOLOGY)
    assert (found.facts, found.events) == (outline.facts, outline.events)
    assert found.catalogue.of("a").unit == "W"
    assert read_truth(tmp_path / "r").open == ("host",)


@pytest.mark.parametrize("packed", [False, True])
def test_the_same_content_gives_the_same_bytes_however_it_is_cut(
    tmp_path: Path, *, packed: bool
) -> None:
    values = np.arange(40.0).reshape(10, 2, 2)
    write_recording(tmp_path / "one", OUTLINE, [chunk(values)], packed=packed)
    cut = [chunk(values[:3]), chunk(values[3:], start=3)]
    write_recording(tmp_path / "two", OUTLINE, cut, packed=packed)
    for made in (tmp_path / "one").iterdir():
        assert made.read_bytes() == (tmp_path / "two" / made.name).read_bytes()


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "mine").write_text("keep")
    with pytest.raises(BadRecording, match="nothing is overwritten"):
        write_recording(tmp_path / "r", OUTLINE, [chunk(np.ones((1, 2, 2)))])
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    write_recording(tmp_path / "r", OUTLINE, [chunk(np.ones((1, 2, 2)))])
    assert read_recording(tmp_path / "r").times.size == 1


def test_a_missing_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="its parent folder does not exist"):
        write_recording(tmp_path / "no" / "r", OUTLINE, [])


def test_an_infinite_value_leaves_no_trace(tmp_path: Path) -> None:
    values = np.ones((1, 2, 2))
    values[0, 1, 1] = np.inf
    with pytest.raises(ValueError, match="not an infinite value"):
        write_recording(tmp_path / "r", OUTLINE, [chunk(values)])
    assert list(tmp_path.iterdir()) == []


def test_parts_that_say_nothing_are_not_written(tmp_path: Path) -> None:
    write_recording(tmp_path / "r", OUTLINE, [chunk(np.ones((1, 2, 2)))])
    names = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert names == ["readings.csv.gz", "topology.json"]
    assert "metadata" not in json.loads((tmp_path / "r" / "topology.json").read_text())["nodes"][0]
