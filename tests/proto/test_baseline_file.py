import json
import zlib
from hashlib import sha256

import numpy as np
import pytest

from tessera.proto import baseline_file
from tessera.proto.baseline_file import (
    MAGIC,
    BadBaseline,
    read_baseline,
    write_baseline,
)

from .baselines import baseline, cell, columns, stream


def repacked(body: bytes) -> bytes:
    """Return a file whose checksum fits whatever it holds."""
    return MAGIC + sha256(body).digest() + zlib.compress(body)


def body_of(data: bytes) -> bytes:
    return zlib.decompress(data[len(MAGIC) + 32 :])


def test_a_baseline_comes_back_as_it_was_written() -> None:
    made = baseline()
    found = read_baseline(write_baseline(made))
    assert (found.source, found.window, found.cells) == (made.source, made.window, made.cells)
    assert (found.streams, found.left_out) == (made.streams, made.left_out)
    for name, values in made.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
        assert found.columns[name].dtype == values.dtype
    np.testing.assert_array_equal(found.windows[0, 10], made.windows[0, 10])


def test_the_same_content_has_the_same_bytes_and_the_same_name() -> None:
    first, second = write_baseline(baseline()), write_baseline(baseline())
    assert first == second
    assert read_baseline(first).id == read_baseline(second).id
    assert len(read_baseline(first).id) == 16


def test_another_content_has_another_name() -> None:
    other = baseline(columns={**columns(3), "origin": np.full(3, 0.5)})
    assert read_baseline(write_baseline(other)).id != read_baseline(write_baseline(baseline())).id


def test_a_baseline_without_streams_can_be_written() -> None:
    assert read_baseline(write_baseline(baseline(0))).streams == ()


@pytest.mark.parametrize("cut", [0, 5, 30, 60, -1])
def test_a_file_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(BadBaseline):
        read_baseline(write_baseline(baseline())[:cut])


def test_every_changed_byte_is_found() -> None:
    data = write_baseline(baseline())
    for at in range(0, len(data), 37):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(BadBaseline):
            read_baseline(broken)


def test_a_file_that_opens_to_more_than_its_bound_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baseline_file, "LARGEST_OPEN", 1 << 20)
    with pytest.raises(BadBaseline, match="holds more than 1 MB"):
        read_baseline(repacked(bytes(1 << 21)))


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": (cell(phi=1.0),)},
        {"cells": (cell(kappa=0.5),)},
        {"cells": (cell(rung=0),)},
        {"cells": (cell(validity=7),)},
        {"cells": (cell(metric=3),)},
        {"cells": (cell(recalibrated=1),)},
        {"streams": tuple(stream(f"g{i}", kappa=0.0) for i in range(3))},
        {"streams": tuple(stream(f"g{i}", rung=True) for i in range(3))},
        {"columns": {**columns(3), "scale": np.zeros(3)}},
        {"columns": {**columns(3), "origin": np.full(3, np.nan)}},
        {"columns": {**columns(3), "steps": np.full(3, -1)}},
        {"columns": {**columns(3), "counts": np.full((3, 64), 2**20)}},
        {"columns": {**columns(3), "knots": columns(3)["knots"][:, ::-1]}},
        {"columns": {**columns(3), "theta": np.zeros((3, 3))}},
        {"windows": {(4, 10): np.zeros(2, dtype=np.float32)}},
        {"windows": {(0, 10): np.full(2, np.inf, dtype=np.float32)}},
    ],
)
def test_numbers_that_no_baseline_has_are_refused_in_one_line(changes: dict[str, object]) -> None:
    data = write_baseline(baseline(3, **changes))
    with pytest.raises(BadBaseline, match="holds what no baseline does") as refused:
        read_baseline(data)
    assert "\n" not in str(refused.value)


def test_a_head_that_is_none_is_refused() -> None:
    body = body_of(write_baseline(baseline()))
    size = int.from_bytes(body[:8], "little")
    about = json.loads(body[8 : 8 + size])
    changes: list[dict[str, object]] = [
        {"cells": [{}]},
        {"streams": 3},
        {"window": [1]},
        {"windows": [[0]]},
    ]
    for change in changes:
        head = json.dumps({**about, **change}).encode()
        with pytest.raises(BadBaseline):
            read_baseline(repacked(len(head).to_bytes(8, "little") + head + body[8 + size :]))


def test_what_is_no_baseline_at_all_is_refused() -> None:
    with pytest.raises(BadBaseline, match="is not a baseline of this version"):
        read_baseline(b"{}")
