"""A block of long ago is looked at before it is stored."""

from collections.abc import Callable

import numpy as np
import pytest

from tessera.proto.pack import BadMessage, pack
from tessera.proto.past import check_past
from tessera.proto.schema import ingest

SHAPE = (2, 5)  # shards and metrics of the inventory


def sound() -> ingest.PastBlock:
    x = np.array([[1.0, np.nan], [0.5, 3.0]], dtype=np.float32)
    columns = np.array([1, 4], dtype=np.uint16)
    return ingest.PastBlock(
        rung=5, block=7, x=pack(x, np.float32), columns=pack(columns, np.uint16)
    )


def other_rows(block: ingest.PastBlock) -> None:
    block.x.CopyFrom(pack(np.zeros((3, 2), dtype=np.float32), np.float32))


def other_columns(block: ingest.PastBlock) -> None:
    block.columns.CopyFrom(pack(np.array([1, 5]), np.uint16))


def falling_columns(block: ingest.PastBlock) -> None:
    block.columns.CopyFrom(pack(np.array([4, 1]), np.uint16))


def all_columns(block: ingest.PastBlock) -> None:
    block.ClearField("columns")


def infinite(block: ingest.PastBlock) -> None:
    block.x.CopyFrom(pack(np.full((2, 2), np.inf, dtype=np.float32), np.float32))


def too_few_bytes(block: ingest.PastBlock) -> None:
    block.x.data = block.x.data[:-1]


def no_shape(block: ingest.PastBlock) -> None:
    block.columns.ClearField("shape")


def test_a_sound_block_passes() -> None:
    check_past(sound(), SHAPE)
    whole = ingest.PastBlock(x=pack(np.zeros(SHAPE, dtype=np.float32), np.float32))
    check_past(whole, SHAPE)


@pytest.mark.parametrize(
    "spoil",
    [
        *(other_rows, other_columns, falling_columns, all_columns),
        *(infinite, too_few_bytes, no_shape),
    ],
)
def test_a_block_that_does_not_fit_its_inventory_is_refused(
    spoil: Callable[[ingest.PastBlock], None],
) -> None:
    block = sound()
    spoil(block)
    with pytest.raises(BadMessage):
        check_past(block, SHAPE)
