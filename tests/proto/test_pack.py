import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.proto.pack import MOST_VALUES, BadMessage, floored, pack, unpack
from tessera.proto.schema import ingest

KINDS = (np.float32, np.float64, np.int32, np.int64, np.uint16, np.bool_)
arrays = st.sampled_from(KINDS).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


def refusal(array: ingest.Array, kind: type[np.generic], *shape: int | None) -> str:
    with pytest.raises(BadMessage) as caught:
        unpack(array, kind, shape or None, ("Up1", "x"))
    assert "\n" not in str(caught.value)
    assert (caught.value.message, caught.value.field) == ("Up1", "x")
    return caught.value.what


@given(arrays)
def test_an_array_comes_back_bit_for_bit(array: npt.NDArray[np.generic]) -> None:
    sent = ingest.Array.FromString(pack(array, array.dtype.type).SerializeToString())
    back = unpack(sent, array.dtype.type, array.shape)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert back.flags.c_contiguous


def test_the_bytes_are_what_the_protocol_says_on_every_machine() -> None:
    assert pack(np.array([1.0, -2.0], np.float32), np.float32).data.hex() == "0000803f000000c0"
    assert pack(np.array([[1], [258]], np.int64), np.uint16).data.hex() == "01000201"
    assert pack(np.array([1, 0, 0, 1, 0, 0, 0, 0, 1], np.bool_), np.bool_).data.hex() == "0901"


def test_an_array_of_the_other_byte_order_is_the_same_array() -> None:
    mine = np.array([1.5, -3.0], dtype=np.float32)
    swapped = mine.astype(mine.dtype.newbyteorder())
    assert pack(swapped, np.float32) == pack(mine, np.float32)
    assert unpack(pack(swapped, np.float32), np.float32).dtype.isnative


def test_an_array_that_is_no_row_of_memory_is_packed_in_its_order() -> None:
    table = np.arange(6, dtype=np.int64).reshape(2, 3)
    assert unpack(pack(table.T, np.int64), np.int64).tolist() == table.T.tolist()
    odd = np.array([[1, 0], [1, 1]], np.bool_)
    assert unpack(pack(odd.T, np.bool_), np.bool_).tolist() == odd.T.tolist()


@given(hnp.arrays(np.int64, 3))
def test_an_integer_goes_into_a_shorter_kind_whole_or_not_at_all(x: npt.NDArray[np.int64]) -> None:
    if (np.abs(x.astype(object)) < 2**31).all():
        assert unpack(pack(x, np.int32), np.int32).tolist() == x.tolist()
    else:
        with pytest.raises(BadMessage, match="int32 cannot hold"):
            pack(x, np.int32)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([70000]), np.uint16),
        (np.array([-1]), np.uint16),
        (np.array([2**31]), np.int32),
        (np.array([1.0]), np.float32),  # of 64 bits: somebody must say which way to round
        (np.array([1.0]), np.bool_),
        (np.array([1]), np.bool_),
        (np.array([1]), np.float32),
        (np.array(["x"]), np.float32),
    ],
)
def test_what_a_kind_cannot_hold_is_not_packed(
    values: npt.NDArray[np.generic], kind: type[np.generic]
) -> None:
    with pytest.raises(BadMessage, match="cannot hold"):
        pack(values, kind)


def test_a_kind_that_the_wire_does_not_have_is_refused() -> None:
    with pytest.raises(BadMessage, match="no array holds float16"):
        pack(np.zeros(1, np.float16), np.float16)
    assert refusal(pack(np.zeros(1), np.float64), np.float16) == "no array holds float16"


def test_an_array_of_another_kind_is_refused() -> None:
    sent = pack(np.zeros(2, np.float32), np.float32)
    assert refusal(sent, np.int32) == "is FLOAT32, not INT32"
    assert refusal(ingest.Array(), np.int32) == "is KIND_UNSPECIFIED, not INT32"
    newer = ingest.Array.FromString(bytes([8, 99]))  # field 1: a kind of a later version
    assert refusal(newer, np.int32) == "is of unknown kind 99, not INT32"


def test_an_array_of_another_shape_is_refused() -> None:
    sent = pack(np.zeros((2, 3), np.float32), np.float32)
    assert refusal(sent, np.float32, 3, 2) == "has shape (2, 3), not (3, 2)"
    assert refusal(sent, np.float32, 6) == "has shape (2, 3), not (6)"
    assert refusal(sent, np.float32, None, 2) == "has shape (2, 3), not (any, 2)"
    assert unpack(sent, np.float32, (None, 3)).shape == (2, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 9])
def test_bytes_that_are_too_few_or_too_many_are_refused(kind: type[np.generic], count: int) -> None:
    sent = pack(np.zeros(count, kind), kind)
    sent.data += b"\0"
    assert "bytes, its shape" in refusal(sent, kind)
    sent.data = sent.data[:-2]
    if count:
        assert "bytes, its shape" in refusal(sent, kind)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1, 1), (MOST_VALUES + 1,), (2**32 - 1,) * 4, (0,) * 100]
)
def test_a_shape_beyond_all_measure_is_refused_before_anything_is_made(
    shape: tuple[int, ...],
) -> None:
    sent = ingest.Array(kind=ingest.Array.BITS, shape=shape)
    assert "beyond all measure" in refusal(sent, np.bool_)


def numbers() -> st.SearchStrategy[npt.NDArray[np.float64]]:
    near = st.floats(-1e5, 1e5) | st.floats(-1e-40, 1e-40) | st.floats()
    return hnp.arrays(np.float64, 8, elements=near)


@given(x=numbers(), half=st.booleans())
def test_a_number_made_shorter_is_never_larger_and_the_largest_of_those(
    x: npt.NDArray[np.float64], *, half: bool
) -> None:
    kind = np.float16 if half else np.float32
    short = floored(x, np.float16) if half else floored(x, np.float32)
    assert short.dtype == kind
    assert (np.isnan(short) == np.isnan(x)).all()
    known = ~np.isnan(x)
    assert (short[known].astype(np.float64) <= x[known]).all()
    with np.errstate(over="ignore"):
        next_up = np.nextafter(short[known & np.isfinite(x)], kind(np.inf))
    assert (next_up.astype(np.float64) > x[known & np.isfinite(x)]).all()


def test_rounding_to_the_nearest_would_make_some_of_them_larger() -> None:
    x = np.array([0.1, 70000.0])
    with np.errstate(over="ignore"):
        nearest = x.astype(np.float16)
    assert (nearest > x).tolist() == [False, True]
    assert np.float32(0.1) > x[0] > floored(x, np.float32)[0]
    assert floored(x, np.float16)[1] == 65504.0


def test_infinities_stay_and_what_is_too_low_becomes_minus_infinity() -> None:
    x = np.array([-np.inf, np.inf, -1e300, -65510.0])
    assert floored(x, np.float16).tolist() == [-np.inf, np.inf, -np.inf, -np.inf]


def test_every_kind_of_the_wire_can_be_packed() -> None:
    codes = {pack(np.zeros(1, kind), kind).kind for kind in KINDS}
    assert codes == set(ingest.Array.Kind.values()) - {ingest.Array.KIND_UNSPECIFIED}
