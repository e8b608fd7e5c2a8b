import json
from math import nan
from pathlib import Path

import numpy as np
import pytest

from tessera.adapters.recording import ABSENT, ERROR, UNSUPPORTED, VALUE, BadRecording
from tessera.adapters.recording_read import Truth, read_recording, read_truth

from .recordings import ROWS, folder

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def refusal(path: Path) -> str:
    with pytest.raises(BadRecording) as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_rows_in_any_order_become_ticks_shards_and_metrics(tmp_path: Path, *, packed: bool) -> None:
    found = read_recording(folder(tmp_path, packed=packed))
    assert (found.shards, found.metrics) == (("gpu-0", "gpu-1"), ("clock", "power_watts"))
    assert found.times.tolist() == [0.0, 10.0, 20.0]
    expected = [[[nan, 400], [nan, nan]], [[nan, nan], [nan, 500.5]], [[-1000, nan], [nan, nan]]]
    np.testing.assert_array_equal(found.values, expected)
    assert found.interval == 10.0


def test_an_absence_keeps_its_reason(tmp_path: Path) -> None:
    found = read_recording(folder(tmp_path))
    assert found.codes[0, 0].tolist() == [UNSUPPORTED, VALUE]
    assert found.codes[1, 0].tolist() == [ABSENT, ERROR]
    assert found.errors == {(1, 0, 1): "GPU_LOST"}


def test_a_shard_that_never_reports_is_kept_as_absent(tmp_path: Path) -> None:
    found = read_recording(folder(tmp_path, "t,shard,metric,value\n0,gpu-1,x,1\n"))
    assert found.shards == ("gpu-0", "gpu-1")
    assert (found.codes[:, 0] == ABSENT).all()
    assert found.interval == 1.0


def test_blank_lines_byte_order_marks_windows_lines_and_quotes_are_understood(
    tmp_path: Path,
) -> None:
    rows = '\ufefft,shard,metric,value\r\n\r\n0,"gpu-0",x,1\r\n\r\n0.0,gpu-1,x,2\r\n'
    found = read_recording(folder(tmp_path, rows))
    assert found.values.ravel().tolist() == [1.0, 2.0]


def test_progress_ends_with_all_bytes_read(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    read_recording(folder(tmp_path), lambda done, total: told.append((done, total)))
    assert told[-1] == (len(ROWS), len(ROWS))


def test_metrics_json_overrides_the_catalogue(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "metrics.json").write_text('{"clock": {"unit": "Hz", "direction": "down"}}')
    row = read_recording(path).catalogue.of("clock")
    assert (row.unit, row.direction) == ("Hz", -1)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("0,gpu-0,x,abc", "value 'abc' is not a number; write a number, leave it empty for"),
        ("0,gpu-0,x,1_000", "value '1_000' is not a number"),
        ("0,gpu-0,x,nan", "value 'nan' is not a number"),
        ("0,gpu-0,x,-inf", "value '-inf' is infinite"),
        ("0,gpu-0,x,1e999", "value '1e999' is infinite"),
        ("noon,gpu-0,x,1", "time 'noon' is not a number; write seconds"),
        ("inf,gpu-0,x,1", "time 'inf' is infinite"),
        ("0,gpu-0,x", "has 3 columns; write the four: t,shard,metric,value"),
        ("0,gpu-0,x,1,2", "has 5 columns"),
        ("0,gpu-7,x,1", "'gpu-7' is not a shard of topology.json"),
        ("0,host,x,1", "'host' is not a shard of topology.json"),
        ("0,gpu-0,,1", "the metric has no name"),
        ("10.0,gpu-1,power_watts,500.5", "power_watts of 'gpu-1' at t = 10.0 was read before"),
        ('0,"gpu-0,x,1', "is not sound CSV"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, row: str, what: str) -> None:
    path = folder(tmp_path, f"{ROWS}{row}\n")
    assert refusal(path).startswith(f"readings.csv:7: {what}")


def test_the_first_of_several_wrong_rows_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, f"{ROWS}0,gpu-0,x,abc\n0,gpu-9,x,1\n0,gpu-0\n", packed=True)
    assert refusal(path).startswith("readings.csv.gz:7: value 'abc'")


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("", "readings.csv: is empty; begin with t,shard,metric,value"),
        ("t,shard,metric,value\n", "readings.csv: holds no readings"),
        ("t,shard,metric,value\n\n\n", "readings.csv: holds no readings"),
        ("time,shard,metric,value\n0,gpu-0,x,1\n", "readings.csv:1: the header is"),
        (None, " holds no readings.csv or readings.csv.gz;"),
    ],
)
def test_a_table_without_header_or_rows_is_refused(
    tmp_path: Path, rows: str | None, line: str
) -> None:
    assert line in refusal(folder(tmp_path, rows))


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "nowhere")


def test_two_tables_of_readings_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, packed=True)
    assert "holds readings.csv and readings.csv.gz" in refusal(folder(tmp_path))


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    packed = folder(tmp_path, packed=True) / "readings.csv.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    assert refusal(tmp_path) == "readings.csv.gz: ends in the middle; copy it again"


def test_a_gzip_that_is_none_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path, rows=None) / "readings.csv.gz").write_text(ROWS)
    assert refusal(tmp_path).startswith("readings.csv.gz: is not sound gzip")


def test_readings_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (folder(tmp_path) / "readings.csv").write_bytes(ROWS.encode() + b"\xff\xff")
    assert refusal(tmp_path).startswith("readings.csv: is not UTF-8 text")


@pytest.mark.parametrize(
    ("topology", "line"),
    [
        (None, "topology.json: is missing;"),
        ([], "topology.json: document: is not an object;"),
        ({"nodes": [{"id": "a", "kind": "rack"}], "edges": []}, "topology.json: holds no shards;"),
    ],
)
def test_a_topology_that_cannot_serve_is_refused(
    tmp_path: Path, topology: object, line: str
) -> None:
    assert refusal(folder(tmp_path, topology=topology)).startswith(line)


def test_times_that_no_readings_share_are_refused_before_memory_is_spent(tmp_path: Path) -> None:
    many = [{"id": f"g{i}", "kind": "gpu_shard"} for i in range(10_000)]
    rows = "".join(f"{i / 7},g{i},x,1\n" for i in range(10_000))
    path = folder(tmp_path, f"t,shard,metric,value\n{rows}", {"nodes": many, "edges": []})
    assert "10000 different times hold 10000 readings; round t" in refusal(path)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("metrics.json", "{", "metrics.json:1: is not JSON"),
        ("metrics.json", '{"x": {"fast": 7}}', "metrics.json: metric 'x': fast is 7; use one of"),
        ("facts.csv", "t,shard\n", "facts.csv:1: has another header; write t,node,code,state"),
        ("facts.csv", "t,node,code,state\n1,host,X\n", "facts.csv:2: has 3 columns"),
        ("facts.csv", "t,node,code,state\nx,host,X,raised\n", "facts.csv:2: time 'x'"),
        ("facts.csv", "t,node,code,state\n1,pod,X,raised\n", "facts.csv:2: 'pod' is not in"),
        ("facts.csv", "t,node,code,state\n1,host,X,up\n", "facts.csv:2: code 'X', state 'up'"),
        ("events.json", "{}", "events.json: is not a list"),
        ("events.json", "[1]", "events.json: event 1 is not an object"),
        ("events.json", '[{"event_id": "a"}]', "events.json: event 1 has no event_id or"),
        (
            "events.json",
            '[{"event_id": "a", "event_class": "b", "event_ts": "c"}]',
            "events.json: event 1 has times that are not numbers",
        ),
        (
            "events.json",
            '[{"event_id": "a", "event_class": "b", "event_ts": 1, "scope": ["pod"]}]',
            "events.json: event 1 has a scope outside the topology",
        ),
        (
            "events.json",
            '[{"event_id": "a", "event_class": "b", "event_ts": 1, "metadata": 3}]',
            "events.json: event 1 has metadata that is not an object",
        ),
    ],
)
def test_a_fault_in_a_side_file_is_one_line(
    tmp_path: Path, name: str, text: str, line: str
) -> None:
    (folder(tmp_path) / name).write_text(text)
    assert refusal(tmp_path).startswith(line)


def test_facts_and_events_come_in_order_of_time(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "facts.csv").write_text("t,node,code,state\n5,gpu-0,79,cleared\n1,gpu-0,79,raised\n")
    events = [{"event_id": str(t), "event_class": "deploy", "event_ts": t} for t in (9, 3)]
    (path / "events.json").write_text(json.dumps(events))
    found = read_recording(path)
    assert [(fact.at, fact.raised) for fact in found.facts] == [(1.0, True), (5.0, False)]
    assert [event.at for event in found.events] == [3, 9]


def test_truth_is_not_opened_with_the_readings(tmp_path: Path) -> None:
    (folder(tmp_path) / "truth.json").write_text("{broken")
    assert read_recording(tmp_path).times.size == 3
    with pytest.raises(BadRecording, match=r"^truth\.json:1: is not JSON"):
        read_truth(tmp_path)


def test_truth_lists_the_faulty_nodes_and_their_onsets(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"open": ["gpu-0"], "onset": {"gpu-0": 7}}')
    assert read_truth(tmp_path) == Truth(("gpu-0",), {"gpu-0": 7.0})


@pytest.mark.parametrize("text", ["[]", "{}", '{"open": [3]}', '{"open": [], "onset": {"a": "b"}}'])
def test_a_truth_without_its_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(BadRecording, match=r"^truth\.json: "):
        read_truth(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_the_real_recording_is_whole_and_its_slow_worker_is_known() -> None:
    found = read_recording(DATA / "straggler-ar")
    assert found.values.shape == (1408, 16, 2)
    assert (found.codes == VALUE).all()
    assert found.metrics == ("backward_compute_seconds", "forward_compute_seconds")
    assert read_truth(found.path) == Truth(("dp00-pp0",), {})
