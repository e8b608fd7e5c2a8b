"""Something that is so or not each time one looks, and the fact that it makes when it lasts.

Apart, because sources of several vendors see conditions, and all of them must begin and end alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .base import Fact

CLEAR: Final = 60.0  # seconds for which a source must say that a condition is over


@dataclass(slots=True)
class Condition:
    """A fact ``code`` once it was so for ``after`` seconds, until it was not for ``clear``."""

    code: str
    after: float = 0.0
    clear: float = CLEAR
    stands: bool = False
    since: float | None = None  # it has been so, or not so, other than it ``stands``

    def see(self, shard: str, at: float, detail: str, *, on: bool) -> Iterator[Fact]:
        """Take what is so at ``at`` (Unix seconds), and yield a beginning or an end."""
        if on == self.stands:
            self.since = None
            return
        self.since = at if self.since is None else self.since
        if at - self.since >= (self.after if on else self.clear):
            self.stands, self.since = on, None
            yield Fact(shard, self.code, at, stands=on, detail=detail)
