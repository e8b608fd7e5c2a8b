"""Names under which adapters can be asked for, each with the factory that makes one.

Apart, because settings name sources by text and a wrong name must say which names exist.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Generic, TypeVar

Made = TypeVar("Made")


class DuplicateName(ValueError):  # noqa: N818 - named for what it says
    """Refuse a second factory under one name; carries ``registry`` and ``name``."""

    def __init__(self, registry: str, name: str) -> None:
        """Keep what kind of thing was registered twice, and under which name."""
        super().__init__(registry, name)
        self.registry = registry
        self.name = name

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.registry} {self.name!r} is registered already"


class UnknownName(LookupError):  # noqa: N818 - named for what it says
    """Refuse a name nobody registered; carries ``registry``, ``name`` and the names ``known``."""

    def __init__(self, registry: str, name: str, known: tuple[str, ...]) -> None:
        """Keep the name that was asked for and those that exist."""
        super().__init__(registry, name, known)
        self.registry = registry
        self.name = name
        self.known = known

    def __str__(self) -> str:
        """Return one line that lists what exists and what may have been meant."""
        exist = ", ".join(self.known) or "none"
        close = get_close_matches(self.name, self.known, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        return f"no {self.registry} is called {self.name!r}; {meant}there are: {exist}"


class Registry(Generic[Made]):
    """Map names to factories of one kind of thing, for example ``Registry("counter source")``."""

    def __init__(self, what: str) -> None:
        """Start empty; ``what`` is the singular noun that error lines use."""
        self._what = what
        self._factories: dict[str, Callable[..., Made]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._factories))

    def add(self, name: str, factory: Callable[..., Made]) -> None:
        """Register ``factory``; raise ``DuplicateName`` if the name is taken."""
        if name in self._factories:
            raise DuplicateName(self._what, name)
        self._factories[name] = factory

    def factory(self, name: str) -> Callable[..., Made]:
        """Return the factory called ``name``; raise ``UnknownName`` if there is none."""
        try:
            return self._factories[name]
        except KeyError:
            raise UnknownName(self._what, name, self.names) from None
