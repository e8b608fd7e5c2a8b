"""Only those columns travel that a message says something of, and nothing is lost by it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from tessera.proto import decode, encode
from tessera.proto.columns import thinned
from tessera.proto.messages import Down, Inventory, Up1
from tessera.proto.pack import BadMessage, pack, unpack
from tessera.proto.schema import ingest

from .samples import an_up2, same

ROWS, EVERY = 8, 100  # of an inventory with many columns, most of which live at other rungs
LIVING = (3, 4, 97)
NAN = np.float32(np.nan)


def up1(columns: tuple[int, ...] = LIVING) -> Up1:
    x = np.full((ROWS, EVERY), NAN)
    x[:, list(columns)] = 1.5
    return Up1("h", 5, 7, x, np.full((ROWS, EVERY), NAN), np.ones(ROWS, dtype=np.bool_))


def down(group: str, columns: tuple[int, ...]) -> Down:
    count, s3 = np.zeros(EVERY, dtype=np.int64), np.full((EVERY, 3), NAN)
    count[list(columns)], s3[list(columns)] = 5, 0.5
    nobody = np.zeros(EVERY, dtype=np.int64), np.full((EVERY, 3), NAN)
    return Down(group, 5, 7, count, s3, *nobody, np.ones(ROWS, dtype=np.bool_))


def listed(message: ingest.Up1 | ingest.Down | ingest.Up2) -> list[int]:
    return [int(column) for column in unpack(message.columns, np.uint16)]


def test_block_values_travel_without_the_columns_of_other_rungs() -> None:
    sent = encode.up1(up1())
    assert listed(sent) == list(LIVING)
    assert list(sent.x.shape) == [ROWS, len(LIVING)]
    assert same(decode.up1(sent, "h", (ROWS, EVERY)), up1())


def test_four_times_the_columns_are_not_four_times_the_bytes() -> None:
    few = np.full((ROWS, EVERY // 4), np.float32(1.5))
    alone = encode.up1(replace(up1(), x=few, offset=few))
    many = np.full((ROWS, EVERY), NAN)
    many[:, : EVERY // 4] = 1.5
    beside = encode.up1(replace(up1(), x=many, offset=many))
    assert beside.ByteSize() < 1.1 * alone.ByteSize()


def test_a_column_of_which_only_the_offset_is_known_travels() -> None:
    told = up1()
    told.offset[2, 50] = 3.0
    assert listed(encode.up1(told)) == [3, 4, 50, 97]


def test_summaries_of_one_block_have_the_columns_that_any_of_its_groups_has() -> None:
    both = down("a", (3,)), down("b", (3, 60))
    sent = encode.downs(both)
    assert listed(sent) == [3, 60]
    assert same(decode.downs(sent, (ROWS, EVERY)), both)


def test_evidence_of_columns_without_streams_does_not_travel_and_is_none_at_the_other_end() -> None:
    told = an_up2()
    none = {"change_epoch", "level_epoch", "learned", "long_run_scores"}  # −1 in the sample
    wide = {
        field.name: np.full((ROWS, EVERY), -1 if value.dtype.kind == "i" else NAN, value.dtype)
        for field in fields(told)
        if isinstance(value := getattr(told, field.name), np.ndarray) and value.ndim == 2
    }
    for name, values in wide.items():
        values[:, LIVING] = 4 if values.dtype.kind == "i" or name in none else 0.25
    whole = replace(told, **wide, lags=None, baseline=None, review=None, windows={})  # type: ignore[arg-type]  # as made
    sent = encode.up2(whole)
    assert listed(sent) == list(LIVING)
    assert same(decode.up2(sent, "h", (ROWS, EVERY)), whole)


def test_a_message_that_says_something_of_all_columns_names_none() -> None:
    assert not encode.up1(up1(tuple(range(EVERY)))).HasField("columns")


def test_a_message_that_says_nothing_has_no_columns_left() -> None:
    sent = encode.up1(up1(()))
    assert listed(sent) == []
    assert same(decode.up1(sent, "h", (ROWS, EVERY)), up1(()))


def test_thinning_leaves_the_message_itself_as_it_was() -> None:
    told = up1()
    (thin,), columns = thinned([told])
    assert columns is not None
    assert (thin.x.shape, told.x.shape) == ((ROWS, len(LIVING)), (ROWS, EVERY))


@pytest.mark.parametrize("columns", [[4, 3], [3, 3], [3, EVERY], [3, 65535]])
def test_columns_that_do_not_grow_or_are_not_there_are_refused(columns: list[int]) -> None:
    sent = encode.up1(up1((3, 4)))
    sent.columns.CopyFrom(pack(np.array(columns), np.uint16))
    with pytest.raises(BadMessage, match=r"Up1\.columns: is no growing row of columns below 100"):
        decode.up1(sent, "h", (ROWS, EVERY))


def test_columns_that_are_others_than_those_of_the_arrays_are_refused() -> None:
    sent = encode.up1(up1())
    sent.columns.CopyFrom(pack(np.array([3, 4]), np.uint16))
    with pytest.raises(BadMessage, match=r"Up1\.x: has shape"):
        decode.up1(sent, "h", (ROWS, EVERY))


def test_a_score_travels_beside_its_metric() -> None:
    sent = encode.inventory(Inventory("h", 1, (), ("power_watts", "power_watts/spread")))
    rows = [(row.metric, row.score) for row in sent.streams]
    assert rows == [("power_watts", "mean"), ("power_watts", "spread")]
    assert decode.inventory(sent).metrics == ("power_watts", "power_watts/spread")


@pytest.mark.parametrize(
    ("metric", "score", "why"),
    [("x", "noise", "score 'noise' is not known"), ("x/spread", "spike", "is called like a score")],
)
def test_a_score_that_nobody_knows_is_refused(metric: str, score: str, why: str) -> None:
    rows = [ingest.StreamRow(metric=metric, score=score)]
    with pytest.raises(BadMessage, match=f"Inventory.streams: .*{why}"):
        decode.inventory(ingest.Inventory(host="h", streams=rows))
