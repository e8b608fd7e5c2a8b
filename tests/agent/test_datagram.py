"""Whatever is sent to the socket is understood, or refused in one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.agent.datagram import (
    LARGEST,
    MOST_LINES,
    BadDatagram,
    EventNote,
    JobNote,
    Note,
    PauseNote,
    Push,
    lines,
    parse,
)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("step_time_seconds:0.43|g|#rank:3", Push("step_time_seconds", 0.43, rank=3)),
        ("step_time_seconds:430|ms|#device:GPU-1", Push("step_time_seconds", 0.43, "GPU-1")),
        ("step:430|ms|#local_rank:2,job:x", Push("step_seconds", 0.43, "2")),
        ("all_reduce_us:1.5|ms", Push("all_reduce_us", 1500.0)),
        ("tokens:512|c|@0.5", Push("tokens", 1024.0, added=True)),
        (
            '{"metric": "step_time_seconds", "value": 1, "device": 0, "among": ["a", 1]}',
            Push("step_time_seconds", 1.0, "0", ("a", "1")),
        ),
        (
            '{"job": "slurm-7", "state": "start", "devices": [0, "1"]}',
            JobNote("slurm-7", ("0", "1")),
        ),
        ('{"job": "slurm-7", "state": "stop"}', JobNote("slurm-7", over=True)),
        (
            '{"event": "config_change", "detail": "cap", "at": 5}',
            EventNote("config_change", "cap", at=5.0),
        ),
        ('{"pause_profiling": 900}', PauseNote(900.0)),
    ],
)
def test_a_line_of_json_or_statsd_says_what_it_says(line: str, meant: Note) -> None:
    assert parse(line) == meant


@pytest.mark.parametrize(
    "line",
    [
        *("nonsense", "a:1", "a:x|g", "a:1|s", "a:nan|g", "a:inf|g", "a:1e999|g", "a:٣|g"),
        *("A:1|g", "9:1|g", f"{'a' * 65}:1|g", "a b:1|g", "a/b:1|g"),
        *("a:+1|g", "a:-1|g", "a:-1|c", "a:1|c|@0", "a:1|c|@2", "a:1|g|#rank:x"),
        *("{", "{}", "{]", '{"metric": 1}', '{"metric": "a"}', '{"metric": "a", "value": true}'),
        *('{"metric": "a", "value": "1"}', '{"metric": "a", "value": NaN}'),
        *('{"metric": "a", "value": 1, "device": true}', '{"metric": "a", "value": 1, "among": 3}'),
        *('{"metric": "a", "value": 1, "rank": -1}', '{"metric": "a", "value": 1, "rank": 1.5}'),
        f'{{"metric": "a", "value": 1{"0" * 400}}}',
        f'{{"metric": "a", "value": 1{"0" * 5000}}}',
        '{"metric": "a", "value": 1, "among": ' + json.dumps(["x"] * 65) + "}",
        *('{"job": "x"}', '{"job": "", "state": "start"}', '{"job": "a\\nb", "state": "stop"}'),
        *('{"event": "party"}', '{"event": []}', '{"event": "env_change", "detail": "\\ud800"}'),
        *('{"pause_profiling": -1}', '{"pause_profiling": 1e9}', '{"other": 1}'),
        '{"a":' * 2000,
        '{"metric": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_any_other_line_is_refused_in_one_short_line(line: str) -> None:
    with pytest.raises(BadDatagram) as refused:
        parse(line)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_datagram_holds_several_lines_and_not_too_many() -> None:
    assert list(lines(b"a:1|g\n\n b:2|g\n\0")) == ["a:1|g", "b:2|g"]
    for bad in (b"", b"\n", b"\xff", b"a" * (LARGEST + 1), b"a:1|g\n" * (MOST_LINES + 1)):
        with pytest.raises(BadDatagram):
            list(lines(bad))


@given(
    st.binary(max_size=200)
    | st.text(alphabet='{}[]":,|#@-+.0123456789eNaInfmetricvlu').map(str.encode)
)
def test_bytes_are_understood_or_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        found = [parse(line) for line in lines(data)]
    except BadDatagram:
        return
    assert found
