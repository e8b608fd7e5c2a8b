"""Arrays as bytes and back, and numbers made shorter without ever becoming larger.

Apart, because every array of the wire goes through these few lines, and a wrong one would be a
wrong number on another machine rather than an error.
"""

from math import prod
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from .schema import ingest

Scalar = TypeVar("Scalar", bound=np.generic)
Short = TypeVar("Short", np.float16, np.float32)
Where = tuple[str, str]  # message and field, for a refusal
Code: TypeAlias = "ingest.Array.Kind.ValueType"  # generated code names it for checkers only
Layout = np.dtype[np.generic]

MOST_AXES: Final = 4
MOST_VALUES: Final = 1 << 26

# By the numpy type of the values: the kind on the wire and how one value is laid out there.
_KINDS: dict[type[np.generic], tuple[Code, Layout]] = {
    np.float32: (ingest.Array.FLOAT32, np.dtype("<f4")),
    np.float64: (ingest.Array.FLOAT64, np.dtype("<f8")),
    np.int32: (ingest.Array.INT32, np.dtype("<i4")),
    np.int64: (ingest.Array.INT64, np.dtype("<i8")),
    np.uint16: (ingest.Array.UINT16, np.dtype("<u2")),
    np.bool_: (ingest.Array.BITS, np.dtype("?")),
}


class BadMessage(ValueError):  # noqa: N818 - named for what it says
    """A message that is not taken: its ``message`` and ``field``, and ``what`` is wrong there."""

    def __init__(self, where: Where, what: str) -> None:
        """Keep the three facts; the text is one line made of them."""
        self.message, self.field = where
        self.what = what
        super().__init__(f"{self.message}.{self.field}: {what}")


def pack(values: npt.NDArray[np.generic], kind: type[np.generic]) -> ingest.Array:
    """Return ``values`` as an array of ``kind``.

    That is ``np.float32``, ``float64``, ``int32``, ``int64``, ``uint16`` or ``bool_``. Nothing is
    rounded here: floats must fit already (:func:`floored`). Raises ``BadMessage`` for another kind
    and for values that ``kind`` cannot hold.
    """
    where = ("Array", "data")
    code, layout = _kind(kind, where)
    _refuse_unless_it_fits(values, layout, where)
    if layout == np.bool_:
        data = np.packbits(values.astype(np.bool_), bitorder="little").tobytes()
    else:
        data = values.astype(layout).tobytes()
    return ingest.Array(kind=code, shape=values.shape, data=data)


def unpack(
    array: ingest.Array,
    kind: type[Scalar],
    shape: tuple[int | None, ...] | None = None,
    where: Where = ("Array", "data"),
) -> npt.NDArray[Scalar]:
    """Return the values of ``array``, which may be a view that cannot be written.

    ``kind`` as in :func:`pack`; ``shape`` that it must have, None = any, of an axis or in all;
    ``where`` it was found. Raises ``BadMessage`` for another kind or shape, for more than four
    axes or 64 Mi values, and for bytes that are too few or too many.
    """
    code, layout = _kind(kind, where)
    if array.kind != code:
        raise BadMessage(where, f"is {_name(array.kind)}, not {_name(code)}")
    sizes = tuple(array.shape)
    _refuse_shape(sizes, shape, where)
    bits = layout == np.bool_
    data, count = array.data, prod(sizes)
    size = -(-count // 8) if bits else count * layout.itemsize
    if len(data) != size:
        raise BadMessage(where, f"has {len(data)} bytes, its shape {sizes} needs {size}")
    if bits:
        packed = np.ndarray(size, np.uint8, data)
        return np.unpackbits(packed, count=count, bitorder="little").reshape(sizes).view(kind)
    return np.ndarray(sizes, layout, data).astype(kind, copy=False)


def floored(x: npt.NDArray[np.floating], kind: type[Short]) -> npt.NDArray[Short]:
    """Return the largest number of ``kind`` that is not above each of ``x``; NaN stays NaN.

    A finite number beyond the range of ``kind`` becomes its largest one, or −∞.
    """
    with np.errstate(over="ignore"):  # infinite is stepped down, or is what is meant
        y = x.astype(kind)
        above = y > x
        y[above] = np.nextafter(y[above], kind(-np.inf))
    return y


def _kind(kind: type[np.generic], where: Where) -> tuple[Code, Layout]:
    if kind not in _KINDS:
        raise BadMessage(where, f"no array holds {kind.__name__}")
    return _KINDS[kind]


def _name(code: int) -> str:
    """Return the name of a kind, which a later version may know and this one not."""
    known = ingest.Array.Kind.DESCRIPTOR.values_by_number.get(code)
    return known.name if known is not None else f"of unknown kind {code}"


def _refuse_unless_it_fits(values: npt.NDArray[np.generic], layout: Layout, where: Where) -> None:
    integers = values.dtype.kind in "iu" and layout.kind in "iu"
    if integers and values.size and not np.can_cast(values.dtype, layout):
        limits = np.iinfo(layout.name)
        if int(values.min()) < limits.min or int(values.max()) > limits.max:
            raise BadMessage(where, f"holds a number that {layout.name} cannot hold")
    elif not integers and not np.can_cast(values.dtype, layout):
        raise BadMessage(where, f"holds {values.dtype.name}, which {layout.name} cannot hold")


def _refuse_shape(
    sizes: tuple[int, ...], shape: tuple[int | None, ...] | None, where: Where
) -> None:
    if len(sizes) > MOST_AXES or prod(sizes) > MOST_VALUES:
        raise BadMessage(where, f"its shape {sizes!s:.80} is beyond all measure")
    if shape is None or sizes == shape:
        return
    same = len(sizes) == len(shape) and all(
        wanted in (None, size) for size, wanted in zip(sizes, shape, strict=True)
    )
    if not same:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise BadMessage(where, f"has shape {sizes}, not ({wanted})")
