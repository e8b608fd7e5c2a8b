import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tessera.lab.__main__ import main

from .playing import flat, noise, refusal, rows, small

SOUND = rows(noise(12))
LINES = len(SOUND.splitlines())
HUGE = b"1" * 400  # of digits: JSON takes them, a float does not
PACKED = gzip.compress(SOUND.encode(), mtime=0)  # no clock in the name of a test


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small(tmp_path / "r", SOUND)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("12,g0,step_time_seconds", "has 3 columns; write the four"),
        ("12,g0,step_time_seconds,fast", "value 'fast' is not a number"),
        ("12,g0,step_time_seconds,inf", "value 'inf' is infinite"),
        ("12,g0,step_time_seconds,nan", "value 'nan' is not a number"),
        ("noon,g0,step_time_seconds,1", "time 'noon' is not a number; write seconds"),
        ("12,g9,step_time_seconds,1", "'g9' is not a shard of topology.json; add it there"),
        ("12,g0,,1", "the metric has no name"),
        ("4,g0,step_time_seconds,1", "step_time_seconds of 'g0' at t = 4 was read before"),
        ('12,"g0,step_time_seconds,1', "is not sound CSV"),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(folder: Path, line: str, what: str) -> None:
    (folder / "readings.csv").write_text(f"{SOUND}{line}\n")
    assert refusal(folder).startswith(f"tessera replay: readings.csv:{LINES + 1}: ")
    assert what in refusal(folder)


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("readings.csv", b"", "readings.csv: is empty; begin with t,shard,metric,value"),
        ("readings.csv", b"t,shard,metric,value\n", "readings.csv: holds no readings"),
        ("readings.csv", b"time,gpu\n", "readings.csv:1: the header is 'time,gpu'; write"),
        ("readings.csv", SOUND.encode() + b"\xff,g0,m,1\n", "is not UTF-8 text"),
        (
            "readings.csv.gz",
            PACKED,
            "holds readings.csv and readings.csv.gz",
        ),
        ("topology.json", b"{\n\n oops", "topology.json: line 3: is not JSON"),
        ("topology.json", b"[]", "is not an object; write"),
        ("topology.json", b'{"nodes": [], "edges": []}', "topology.json: "),
        ("topology.json", b"\xff\xfe", "topology.json: is not UTF-8 text"),
        ("metrics.json", b"[]", "overrides are not an object; write"),
        ("metrics.json", b'{"step_time_seconds": {"colour": 1}}', "has no field 'colour'; use"),
        ("facts.csv", b"a,b\n", "facts.csv:1: has another header; write t,node,code,state"),
        ("facts.csv", b"t,node,code,state\n1,g9,xid,raised\n", "facts.csv:2: 'g9' is not in"),
        ("facts.csv", b"\xff\n", "facts.csv: is not UTF-8 text; write it as UTF-8"),
        (
            "facts.csv",
            b't,node,code,state\n1,g0,"xid,raised\n' + b"x" * 140_000,
            "facts.csv:3: is not sound CSV (field larger than field limit (131072)); balance the",
        ),
        ("facts.csv", b't,node,code,state\n1,g0,"xid,raised\n', "facts.csv:2: is not sound CSV"),
        ("metrics.json", b'{"power_watts": {"tau": %s}}' % HUGE, "power_watts': tau is 1111"),
        (
            "metrics.json",
            b'{"step_time_seconds": {"margin": %s}}' % HUGE,
            "write a finite number that is not too small or too large",
        ),
        ("metrics.json", b'{"a": %s}' % (b"1" * 5000), "write it shorter"),
        ("events.json", b"[%s]" % (b"1" * 5000), "events.json: holds an integer of thousands"),
        (
            "events.json",
            b'[{"event_id": "a", "event_class": "b", "event_ts": %s}]' % HUGE,
            "events.json: event 1 has times that are not numbers",
        ),
        (
            "topology.json",
            b'{"nodes": [{"id": "a\\nb", "kind": "gpu_shard"}], "edges": []}',
            "topology.json: node 1: its 'id' 'a\\nb' holds a control character",
        ),
        (
            "topology.json",
            b'{"nodes": [{"id": "a\\ud800", "kind": "gpu_shard"}], "edges": []}',
            "or half a character; write it as plain text",
        ),
        (
            "readings.csv",
            SOUND.encode() + b'12,g0,"power\nwatts",1\n',
            "metric 'power\\nwatts' holds a control character",
        ),
        ("events.json", b"{}", "events.json: is not a list; write a list of events"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(
    folder: Path, file: str, content: bytes, what: str
) -> None:
    (folder / file).write_bytes(content)
    assert what in refusal(folder)


@pytest.mark.parametrize(
    "file", ["readings.csv", "topology.json", "metrics.json", "facts.csv", "events.json"]
)
def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path, file: str) -> None:
    (folder / file).unlink(missing_ok=True)
    (folder / file).mkdir()
    assert refusal(folder).startswith(f"tessera replay: {file}: cannot be read (")
    assert refusal(folder).endswith("; make it a readable file")


@pytest.mark.parametrize("content", [PACKED[:-20], b"no gzip"])
def test_broken_gzip_is_named(folder: Path, content: bytes) -> None:
    (folder / "readings.csv").unlink()
    (folder / "readings.csv.gz").write_bytes(content)
    assert "readings.csv.gz: " in refusal(folder)
    assert refusal(folder).endswith("; copy it again")


@pytest.mark.parametrize("file", ["readings.csv", "topology.json"])
def test_a_missing_part_is_asked_for(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert file in refusal(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        line = refusal(path)
        assert line == f"tessera replay: {path}: is not a folder; name the folder of a recording"


@pytest.mark.parametrize("metric", ["pcie_link_width", "device_lost"])
def test_a_recording_of_states_or_events_alone_says_that_nothing_can_be_judged(
    tmp_path: Path, metric: str
) -> None:
    line = refusal(small(tmp_path / "r", rows(noise(12), metric)))
    assert f"none of its metrics ({metric}) is a gauge, a counter or counted; record one" in line


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--block", "7"), "--block 7: no such block length; use one of 1, 2, 5, 10"),
        (("--block", "0"), "--block 0: no such block length"),
        (("--block", "soon"), "'soon' is not a valid integer; see --help"),
        (("--margin", "0"), "--margin 0: not a share in (0, 1); write 0.05 for 5 %"),
        (("--margin", "5"), "--margin 5: not a share in (0, 1)"),
        (("--margin", "nan"), "--margin nan: not a share in (0, 1)"),
        (("--q", "0"), "--q 0: e-BH has a level in (0, 1]; try 0.1"),
        (("--q", "2"), "--q 2: e-BH has a level in (0, 1]"),
        (("--q", "nan"), "--q nan: e-BH has a level in (0, 1]"),
        (("--score",), "truth.json: is missing"),
        (("--loudly",), "No such option '--loudly'; see --help"),
    ],
)
def test_a_bad_option_is_named(folder: Path, options: tuple[str, ...], what: str) -> None:
    assert what in refusal(folder, *options)


@pytest.mark.parametrize(
    ("truth", "what"),
    [
        ({"open": "g1"}, "truth.json: does not list the faulty nodes"),
        ({"open": ["g1"], "onset": {"g1": "noon"}}, "its onset is not seconds by node"),
        ({"open": ["g1"], "onset": {"g1": 10**400}}, "its onset is not seconds by node"),
        ({"open": ["g9"]}, "truth.json: 'g9' is not in the topology; list ids of topology.json"),
        ({"open": [], "onset": {"g9": 1}}, "truth.json: 'g9' is not in the topology"),
    ],
)
def test_a_truth_that_cannot_be_read_is_refused_only_where_it_is_asked_for(
    folder: Path, truth: object, what: str
) -> None:
    (folder / "truth.json").write_text(json.dumps(truth))
    assert what in refusal(folder, "--score")
    assert CliRunner().invoke(main, ["replay", str(folder)]).exit_code == 0


def test_a_block_shorter_than_the_readings_are_apart_is_refused(tmp_path: Path) -> None:
    folder = small(tmp_path / "r", rows(noise(12), every=15.0))
    assert "--block 5: readings are 15 s apart; use 30 or a longer one" in refusal(
        folder, "--block", "5"
    )


def test_readings_too_far_apart_for_any_block_are_refused(tmp_path: Path) -> None:
    line = refusal(small(tmp_path / "r", rows(noise(12), every=1200.0)))
    assert f"{tmp_path / 'r'}: its readings are 1200 s apart, and the longest" in line


def test_a_name_of_two_lines_is_refused_in_one(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a\nb").startswith(f"tessera replay: {tmp_path / 'a b'}: is not")


@pytest.mark.parametrize(
    ("first", "every"),
    [(-20.0, 1.0), (1.7e12, 100.0), (1.7e18, 1e9), (0.0, 1e-9)],
    ids=["before zero", "milliseconds", "nanoseconds", "too fine"],
)
def test_times_that_cannot_be_seconds_are_refused(
    tmp_path: Path, first: float, every: float
) -> None:
    lines = [f"{first + every * t!r},g{i},power_watts,1" for t in range(5) for i in range(4)]
    line = refusal(small(tmp_path / "r", "\n".join(["t,shard,metric,value", *lines, ""])))
    assert line.endswith("; write t in seconds, Unix time or from 0")


@pytest.mark.parametrize(
    ("metric", "value"),
    [("power_watts", 1e39), ("power_watts", -1e308), ("throttled_ratio", 1e308)],
)
def test_a_value_that_no_block_can_hold_is_refused_with_its_place(
    tmp_path: Path, metric: str, value: float
) -> None:
    values = noise(12)
    values[7, 2] = value
    line = refusal(small(tmp_path / "r", rows(values, metric)))
    assert f"{metric} of 'g2' at t = 7 is {value:g}, beyond what a block can hold" in line


def test_a_number_that_the_engine_does_not_take_ends_the_play_in_one_line(tmp_path: Path) -> None:
    overrides = {"work_total": {"scale": 1e60}}  # of its rates, which nobody has written down
    total = np.cumsum(noise(12), axis=0)
    line = refusal(small(tmp_path / "r", rows(total, "work_total"), metrics=overrides))
    assert line.startswith(f"tessera replay: {tmp_path / 'r'}: stopped, x is infinite")


def test_a_topology_without_shards_is_refused(folder: Path) -> None:
    (folder / "topology.json").write_text(json.dumps(flat([])))
    assert "topology.json: holds no shards; give accelerators the kind" in refusal(folder)


def test_a_recording_is_refused_in_plain_and_in_json_alike(folder: Path) -> None:
    (folder / "readings.csv").write_text("")
    assert refusal(folder) == refusal(folder, "--json")


def test_a_folder_that_is_not_named_is_asked_for_in_one_line() -> None:
    result = CliRunner().invoke(main, ["replay"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "tessera replay: Missing argument 'FOLDER'; see --help\n"


def test_refusing_writes_nothing_into_the_recording(folder: Path) -> None:
    (folder / "readings.csv").write_text(SOUND + "12,g9,m,1\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refusal(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_line_far_into_a_large_file_is_named(tmp_path: Path) -> None:
    text = rows(np.ones((3000, 4)))
    lines = text.splitlines()
    lines[9000] = lines[9000].rsplit(",", 1)[0] + ",12,5"
    folder = small(tmp_path / "r", "\n".join([*lines, ""]))
    assert "readings.csv:9001: has 5 columns" in refusal(folder)


REPLAY = (sys.executable, "-m", "tessera.lab", "replay")
FULL = Path("/dev/full")  # a device on which every write fails


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_output_that_cannot_be_written_ends_in_one_line(folder: Path) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(  # noqa: S603 - our own program
            [*REPLAY, str(folder)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("tessera replay: cannot write the output (")
    assert done.stderr.count("\n") == 1


def test_a_reader_who_has_read_enough_ends_the_play_silently(folder: Path) -> None:
    command = [*REPLAY, str(folder)]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as playing:
        assert playing.stdout is not None
        assert playing.stderr is not None
        playing.stdout.close()
        assert playing.stderr.read() == b""
