"""The border to the vendor's binding: its errors become ``NvmlFailed``, its calls are named.

Apart, because every file that calls the binding needs it, and a call that hangs must have a name.
"""

from collections.abc import Callable
from functools import wraps
from threading import get_ident
from typing import NewType, ParamSpec, TypeVar

import pynvml  # type: ignore[import-untyped]  # it ships no types: the files beside this give them

from .errors import FUNCTION_NOT_FOUND, NvmlFailed

Handle = NewType("Handle", object)
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Call = Callable[Arguments, Answer]

_under_way: dict[int, str] = {}  # the vendor's function that a thread is in


def under_way(thread: int) -> str:
    """Return the vendor's function that has not returned to ``thread`` yet, "" for none."""
    return _under_way.get(thread, "")


def calls(name: str) -> Callable[[Call[Arguments, Answer]], Call[Arguments, Answer]]:
    """Mark a function as the one that calls the vendor's ``name`` and nothing else.

    It then raises ``NvmlFailed`` with the library's code, also where this binding is too old to
    have that function.
    """

    def marked(call: Call[Arguments, Answer]) -> Call[Arguments, Answer]:
        @wraps(call)
        def told(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            thread = get_ident()
            _under_way[thread] = name
            try:
                return call(*args, **kwargs)
            except pynvml.NVMLError as error:
                raise NvmlFailed(_code(error)) from None
            finally:
                _under_way.pop(thread, None)

        return told if hasattr(pynvml, name) else _missing(call)

    return marked


def _missing(call: Call[Arguments, Answer]) -> Call[Arguments, Answer]:
    @wraps(call)
    def refuses(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        del args, kwargs
        raise NvmlFailed(FUNCTION_NOT_FOUND)

    return refuses


def _code(error: Exception) -> int:
    return int(error.value)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # set by __new__
