"""Turn a state made of objects and arrays into a plain tree, and back, to the last bit.

Apart, because agent and aggregator both keep evidence over a restart, and neither may keep a
second list of what a state consists of.
Null: a restored state goes on exactly as the first does.  Power: another class or field is refused.
"""

import dis
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from types import FunctionType, MappingProxyType, ModuleType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

# What a document format such as msgpack or, but for bytes, JSON can hold.
Tree: TypeAlias = "bool | int | float | str | bytes | list[Tree] | None"
Classes: TypeAlias = Mapping[str, type]
_Array: TypeAlias = npt.NDArray[np.generic]

_PLAIN = (type(None), bool, int, float, str, bytes)


def named(*places: type | ModuleType) -> Classes:
    """Return classes by name: those given, and all that the given modules define.

    A name is the module's own and the class's, such as ``streams.Streams``. Raises ``ValueError``
    where two classes share one.
    """
    found: dict[str, type] = {}
    for kind in (kind for place in places for kind in _classes_in(place)):
        if found.setdefault(_name(kind), kind) is not kind:
            message = f"two classes are called {_name(kind)}: a snapshot could not tell them apart"
            raise ValueError(message)
    return MappingProxyType(found)


def _classes_in(place: type | ModuleType) -> Iterator[type]:
    if isinstance(place, type):
        yield place
        return
    for kind in vars(place).values():
        if isinstance(kind, type) and kind.__module__ == place.__name__:
            yield kind


def _name(kind: type) -> str:
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__qualname__}"


@cache
def field_names(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields, of an enum's members, or what ``__init__`` sets."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    if issubclass(kind, Enum):
        return tuple(kind.__members__)
    made: dict[str, None] = {}
    for above in reversed(kind.__mro__):
        start = vars(above).get("__init__")
        if isinstance(start, FunctionType):
            steps = dis.get_instructions(start)
            made |= dict.fromkeys(str(s.argval) for s in steps if s.opname == "STORE_ATTR")
    return tuple(made)


def schema(classes: Classes) -> str:
    """Return a short hash of the names of ``classes`` and of their fields, whatever their order."""
    told = [f"{name}({','.join(sorted(field_names(classes[name])))})" for name in sorted(classes)]
    return sha256(";".join(told).encode()).hexdigest()[:16]


def snapshot(state: object, classes: Classes | None = None) -> Tree:
    """Return ``state`` as a tree that a later change of it does not reach.

    It may hold numbers, texts, bytes, numpy scalars and arrays of numbers or texts, lists, tuples,
    dicts (read-only ones become dicts), sets, deques, enums, dataclasses and plain classes, also
    more than once and in circles: what was one object is one again. Arrays keep the order of their
    axes in memory, since sums depend on it; two views of the same memory become two arrays.
    Raises ``ValueError`` for anything else, and for a class that is not in ``classes`` if given:
    better when the state is kept than when it is needed.
    """
    return _Taking(classes).take(state)


def restored(tree: Tree, classes: Classes) -> object:
    """Return what :func:`snapshot` was given, made without calling constructors.

    Raises ``ValueError``, one line, for a class that is not in ``classes``, whose fields are others
    now, or a tree that is none of ours.
    """
    return _Making(classes).make(tree)


class _Taking:
    """One walk over a state; what was met before is told by its number."""

    def __init__(self, classes: Classes | None) -> None:
        self._classes = classes
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # so that no number is given to two objects

    def take(self, value: object) -> Tree:
        kind = type(value)
        if kind in _PLAIN:
            return value  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # just looked
        if isinstance(value, np.generic):
            return ["number", value.dtype.str, value.tobytes()]
        if isinstance(value, Enum):
            return ["enum", self._known(kind), value.name]
        if kind is tuple:
            return ["tuple", [self.take(part) for part in value]]  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]  # a tuple
        if id(value) in self._numbers:
            return ["again", self._numbers[id(value)]]
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return self._take_new(value)

    def _take_new(self, value: object) -> Tree:
        if isinstance(value, np.ndarray):
            return _array_tree(value)
        if isinstance(value, (dict, MappingProxyType)) and type(value) in (dict, MappingProxyType):
            return ["dict", [[self.take(key), self.take(part)] for key, part in value.items()]]
        if type(value) is list:
            return ["list", [self.take(part) for part in value]]
        if type(value) in (set, frozenset) and isinstance(value, (set, frozenset)):
            parts = sorted(value, key=repr)  # the same bytes in every process
            return [type(value).__name__, [self.take(part) for part in parts]]
        if type(value) is deque:
            return ["deque", value.maxlen, [self.take(part) for part in value]]
        return self._take_object(value)

    def _take_object(self, value: object) -> Tree:
        kind = type(value)
        if kind.__module__ == "builtins" or not (is_dataclass(kind) or hasattr(value, "__dict__")):
            message = f"a state holds a {kind.__qualname__}, which no snapshot can keep"
            raise ValueError(message)
        names = field_names(kind)  # type: ignore[arg-type]  # object.__hash__ is read unbound
        extra = sorted(set(getattr(value, "__dict__", ())) - set(names))
        if extra:
            message = f"{_name(kind)}.{extra[0]} is not set where the others are: by __init__"
            raise ValueError(message)
        parts: list[Tree] = [[name, self.take(getattr(value, name))] for name in names]
        return ["object", self._known(kind), parts]

    def _known(self, kind: type) -> str:
        name = _name(kind)
        if self._classes is not None and self._classes.get(name) is not kind:
            message = f"a state holds a {name}, which nobody could make again"
            raise ValueError(message)
        return name


class _Making:
    """One walk over a tree, making objects in the order in which they were met."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._made: list[object] = []
        self._makers: dict[str, Callable[..., object]] = {
            "number": lambda layout, data: np.frombuffer(data, layout)[0],
            "enum": self._enum,
            "tuple": lambda parts: tuple(map(self.make, parts)),
            "again": lambda number: self._made[number],
            "array": self._array,
            "dict": self._dict,
            "list": self._list,
            "set": self._set,
            "frozenset": self._frozen,
            "deque": self._deque,
            "object": self._object,
        }

    def make(self, tree: Tree) -> object:
        if not isinstance(tree, list):
            return tree
        try:
            maker = self._makers[str(tree[0])]
            return maker(*tree[1:])
        except (KeyError, IndexError, TypeError) as wrong:
            message = f"a snapshot holds what none of ours does: {tree!r:.60}"
            raise ValueError(message) from wrong

    def _array(self, layout: str, shape: list[int], axes: list[int], data: bytes) -> _Array:
        inner = np.frombuffer(data, layout).reshape([shape[axis] for axis in axes]).copy()
        made: _Array = inner.transpose(np.argsort(axes))
        self._made.append(made)
        return made

    def _dict(self, parts: list[tuple[Tree, Tree]]) -> dict[object, object]:
        made: dict[object, object] = {}
        self._made.append(made)
        for key, part in parts:
            made[self.make(key)] = self.make(part)
        return made

    def _list(self, parts: list[Tree]) -> list[object]:
        made: list[object] = []
        self._made.append(made)
        made.extend(map(self.make, parts))
        return made

    def _set(self, parts: list[Tree]) -> set[object]:
        made: set[object] = set()
        self._made.append(made)
        made.update(map(self.make, parts))
        return made

    def _frozen(self, parts: list[Tree]) -> frozenset[object]:
        place = len(self._made)
        self._made.append(None)  # nothing inside can mean the set itself
        made = frozenset(map(self.make, parts))
        self._made[place] = made
        return made

    def _deque(self, longest: int | None, parts: list[Tree]) -> deque[object]:
        made: deque[object] = deque(maxlen=longest)
        self._made.append(made)
        made.extend(map(self.make, parts))
        return made

    def _enum(self, name: str, member: str) -> object:
        kind = self._class(name)
        if member not in field_names(kind):
            message = f"{name} has no {member} any more"
            raise ValueError(message)
        return getattr(kind, member)

    def _object(self, name: str, parts: list[tuple[str, Tree]]) -> object:
        kind = self._class(name)
        _refuse_other_fields(name, kind, [part[0] for part in parts])
        made: object = object.__new__(kind)
        self._made.append(made)
        for field, part in parts:
            object.__setattr__(made, field, self.make(part))  # frozen ones too
        return made

    def _class(self, name: str) -> type:
        if name not in self._classes:
            message = f"the class {name} of the snapshot is not known here"
            raise ValueError(message)
        return self._classes[name]


def _refuse_other_fields(name: str, kind: type, found: Iterable[str]) -> None:
    """Raise ``ValueError`` for a field too many, or one that a dataclass or ``__init__`` sets."""
    there, wanted = set(found), set(field_names(kind))
    odd = sorted(there ^ wanted)
    if odd:
        how = "is new" if odd[0] in wanted else "is gone"
        message = f"{name}.{odd[0]} {how} since the snapshot was taken"
        raise ValueError(message)


def _array_tree(values: _Array) -> Tree:
    """Return an array with its axes in the order in which they lie in memory."""
    if values.dtype.kind not in "biufSU":
        message = f"a state holds an array of {values.dtype}, which no snapshot can keep"
        raise ValueError(message)
    axes = sorted(range(values.ndim), key=lambda axis: -abs(values.strides[axis]))
    # tobytes writes the last axis fastest, whatever the array's own order
    return [
        "array",
        values.dtype.str,
        list(values.shape),
        list(axes),
        values.transpose(axes).tobytes(),
    ]
