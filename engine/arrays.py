"""Array types of the engine, the border check, and row access to states made of arrays.

Apart, because every module of the engine speaks in these types and none owns them.
Holds: rows taken and put back leave a state as it was, and others alone.  Fails: an infinity.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

State = TypeVar("State")

PART: Final = 8192  # streams whose intermediate arrays stay in the cache


def parts(n: int) -> Iterator[slice]:
    """Yield the neighbouring rows of ``n`` streams that are best worked on together."""
    for start in range(0, n, PART):
        yield slice(start, min(start + PART, n))


def refuse_infinite(name: str, values: npt.NDArray[np.floating[Any]]) -> None:
    """Raise ``ValueError`` if ``values`` holds an infinity; NaN means "no value" and passes."""
    if np.isinf(values).any():
        at = tuple(int(i) for i in np.argwhere(np.isinf(values))[0])
        message = f"{name} is infinite at index {at}: evidence takes finite numbers or NaN"
        raise ValueError(message)


def take_rows(state: State, rows: Ints) -> State:
    """Return a copy of ``rows`` of a dataclass whose fields are arrays with streams first."""
    kind: Any = type(state)
    return kind(**{f.name: getattr(state, f.name)[rows] for f in fields(kind)})  # type: ignore[no-any-return]  # kind is that of `state`


def only_rows(values: npt.NDArray[Any], rows: Ints) -> npt.NDArray[Any]:
    """Return a copy of ``rows`` of ``values`` whose axes lie in memory as those of ``values`` do.

    Sums depend on that order in their last bit.
    """
    out: npt.NDArray[Any] = np.empty_like(values, shape=(len(rows), *values.shape[1:]))
    out[:] = values[rows]
    return out


def keep_rows(state: object, rows: Ints, count: int) -> None:
    """Leave only ``rows`` in all arrays of ``state`` that have ``count`` rows, and in its parts.

    Parts are dataclasses whose fields are arrays with streams first. A state whose number of
    streams is the length of another array by chance would lose that too: none has one.
    """
    for name, value in vars(state).items():
        if isinstance(value, np.ndarray) and len(value) == count:
            setattr(state, name, only_rows(value, rows))
        elif is_dataclass(value):
            for f in fields(value):
                setattr(value, f.name, only_rows(getattr(value, f.name), rows))


def missing(wanted: Bools, opened: Sequence[Ints]) -> Ints:
    """Return the flat places of ``wanted``, of any shape, that are in none of ``opened``."""
    still = wanted.ravel().copy()
    for at in opened:
        still[at] = False
    return np.flatnonzero(still)


def put_rows(state: State, rows: Ints, part: State) -> None:
    """Write ``part``, as taken by :func:`take_rows`, back into ``rows`` of ``state``."""
    kind: Any = type(state)
    for f in fields(kind):
        getattr(state, f.name)[rows] = getattr(part, f.name)
