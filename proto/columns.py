"""Columns on the wire: what they are called, and only those sent that a message says something of.

Apart from the messages, whose arrays have all columns of the inventory: most columns live at one
rung or two, and at every other rung they would be NaN after NaN.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from .messages import Down, LevelNotes, Up1, Up2
from .pack import BadMessage, Where, unpack
from .schema import ingest

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[np.generic]
Message = TypeVar("Message", Up1, Down, Up2, LevelNotes)
Change = Callable[[Array, int], Array]  # of an array and the axis of its columns

MEAN: Final = "mean"
SCORES: Final = frozenset({"spread", "oscillation", "spike", "joint"})  # that stand in a name
JOINT: Final = "joint"  # also the name of the one column that judges others together
MARK: Final = "/"
NAN: Final = np.float32(np.nan).view(np.uint32)  # as it is where nothing was ever written
NONE, NOBODY = -1, 0  # what says nothing among integers about streams, and among counts


def split(name: str) -> tuple[str, str]:
    """Return metric and score of the column called ``name``."""
    base, _, score = name.rpartition(MARK)
    if name == JOINT:
        return name, JOINT
    return (base, score) if base and score in SCORES else (name, MEAN)


def joined(metric: str, score: str, where: Where) -> str:
    """Return the name of the column of ``score`` of ``metric``; raise ``BadMessage``."""
    if score != MEAN and score not in SCORES:
        raise BadMessage(where, f"score {score!r:.40} is not known")
    if metric == score == JOINT:
        return JOINT
    if split(metric)[1] != MEAN:
        raise BadMessage(where, f"metric {metric!r:.60} is called like a score")
    return metric if score == MEAN else f"{metric}{MARK}{score}"


def thinned(messages: Sequence[Message]) -> tuple[list[Message], Ints | None]:
    """Return ``messages`` with only those columns of which one says something, and which they are.

    None for all of them. ``messages`` have the same columns and are not empty.
    """
    says = [says for message in messages for says in _told(message)]
    found = np.logical_or.reduce(says)
    if found.all():
        return list(messages), None
    columns = np.flatnonzero(found)

    def some(values: Array, axis: int) -> Array:
        return values.take(columns, axis=axis)

    return [_changed(message, some) for message in messages], columns


class Laid:
    """The columns that a message has of the ``every`` of its inventory."""

    def __init__(self, sent: ingest.Array | None, every: int, where: Where) -> None:
        """Take what the message says of its columns, None where it has all.

        Raises ``BadMessage`` for columns that do not grow or that the inventory does not have.
        """
        self._every = every
        self._columns: Ints | None = None
        if sent is not None:
            columns = unpack(sent, np.uint16, (None,), where).astype(np.int64)
            if (np.diff(columns) <= 0).any() or (columns >= every).any():
                raise BadMessage(where, f"is no growing row of columns below {every}")
            self._columns = columns
        self.count = every if self._columns is None else len(self._columns)

    def whole(self, message: Message) -> Message:
        """Return ``message`` with all columns: nothing is said in those that were not sent."""
        columns = self._columns
        if columns is None:
            return message

        nothing = _nothing(message)

        def laid(values: Array, axis: int) -> Array:
            shape = (*values.shape[:axis], self._every, *values.shape[axis + 1 :])
            out = np.full(shape, np.nan if values.dtype.kind == "f" else nothing, values.dtype)
            out[(slice(None), columns) if axis else columns] = values
            return out

        return _changed(message, laid)


def _nothing(message: Up1 | Down | Up2 | LevelNotes) -> int:
    return NOBODY if isinstance(message, Down) else NONE


def _told(message: Up1 | Down | Up2 | LevelNotes) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield for each array of ``message`` which columns it says something of."""
    nothing = _nothing(message)
    for values, axis in _arrays(message):
        says = values.view(np.uint32) != NAN if values.dtype == np.float32 else values != nothing
        if says.ndim == 1 + axis:
            yield says.any(axis=0) if axis else says
        else:
            yield says.any(axis=tuple(i for i in range(says.ndim) if i != axis))


def _arrays(message: Up1 | Down | Up2 | LevelNotes) -> Iterator[tuple[Array, int]]:
    """Yield the arrays of ``message`` that have columns, and which axis these are."""
    for name in _NAMES[type(message)]:
        value = getattr(message, name)
        if isinstance(value, np.ndarray):
            axis = _axis(message, name, value)
            if axis is not None:
                yield value, axis
        elif isinstance(value, Mapping):
            yield from ((array, 1) for array in value.values())
        elif isinstance(value, LevelNotes):
            yield from _arrays(value)


def _changed(message: Message, change: Change) -> Message:
    """Return ``message`` with a ``change`` made to every array that has columns."""
    new: dict[str, object] = {}
    for name in _NAMES[type(message)]:
        value = getattr(message, name)
        if isinstance(value, np.ndarray):
            axis = _axis(message, name, value)
            if axis is not None:
                new[name] = change(value, axis)
        elif isinstance(value, Mapping):
            new[name] = {key: change(array, 1) for key, array in value.items()}
        elif isinstance(value, LevelNotes):
            new[name] = _changed(value, change)
    return replace(message, **new)  # type: ignore[arg-type]  # of the fields' own types


def _axis(message: Up1 | Down | Up2 | LevelNotes, name: str, values: Array) -> int | None:
    """Return the axis of the columns, None for an array of rows alone."""
    if isinstance(message, Down):
        return None if name in ("included", "frozen") else 0
    return 1 if values.ndim > 1 else None


_NAMES = {kind: [field.name for field in fields(kind)] for kind in (Up1, Down, Up2, LevelNotes)}
