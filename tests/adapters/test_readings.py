from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.faulty_line import name_the_line
from tessera.adapters.readings import read_table
from tessera.adapters.recording import BadRecording

KNOWN = frozenset({"gpu-0", "gpu-1"})
FIELDS = ["0", "1.5", "-2e3", "", "nan", "inf", "1_0", "gpu-0", "gpu-9", "x", "error:A", '"', " 3"]


def refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except BadRecording as bad:
        return str(bad)
    return None


@given(st.lists(st.lists(st.sampled_from(FIELDS), min_size=3, max_size=5), min_size=1, max_size=4))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_the_quick_pass_and_the_careful_one_agree_on_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("made") / "readings.csv"
    path.write_text("t,shard,metric,value\n" + "".join(f"{','.join(row)}\n" for row in rows))
    quick = refusal(lambda: read_table(path, KNOWN, None))
    careful = refusal(lambda: name_the_line(path, KNOWN))
    assert quick == careful or (quick is None and "was read before" in str(careful))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0", "7", "2.5"]),
            st.sampled_from(["gpu-0", "gpu-1"]),
            st.sampled_from(["b", "a"]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda row: row[:3],
    )
)
@settings(derandomize=True, max_examples=40, deadline=None)
def test_every_row_is_found_under_its_time_shard_and_metric(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, float]]
) -> None:
    path = tmp_path_factory.mktemp("made") / "readings.csv"
    lines = (f"{t},{shard},{metric},{value!r}\n" for t, shard, metric, value in rows)
    path.write_text("t,shard,metric,value\n" + "".join(lines))
    table = read_table(path, KNOWN, None)
    found = [
        (float(table.times[tick]), table.shards[shard], table.metrics[metric], value)
        for tick, shard, metric, value in zip(
            table.tick, table.shard, table.metric, table.value.tolist(), strict=True
        )
    ]
    assert found == [(float(t), shard, metric, value) for t, shard, metric, value in rows]
    assert (table.times[1:] > table.times[:-1]).all()
