"""What the runtime needs of the pipeline, and how it comes by one.

Apart from the pipeline, because the runtime is tested without statistics, and a pipeline may be
fresh, taken from a checkpoint, or fitted to a fleet that has changed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from ..proto.messages import Freeze, Up1, Up2
from .decide.explained import Explained
from .decide.lives import Effect
from .decide.transition import Transition
from .pipeline import StepResult
from .state.fleet import Fleet
from .state.records import Remembered
from .state.standing import Standing


class Mind(Protocol):
    """The pipeline, seen from the runtime; times are Unix seconds."""

    @property
    def fleet(self) -> Fleet:
        """Return the fleet whose rows it speaks of."""
        ...

    @property
    def open_verdicts(self) -> tuple[Transition, ...]:
        """Return the last transition of every open verdict."""
        ...

    @property
    def complete(self) -> bool:
        """Say whether a step has work to do now."""
        ...

    @property
    def freezes(self) -> tuple[Freeze, ...]:
        """Return the freezes that a host is to know."""
        ...

    def covered(self, freeze: Freeze) -> frozenset[str]:
        """Return the shards that a freeze is about."""
        ...

    def expect(self, hosts: Collection[str]) -> None:
        """Wait for ``hosts`` from now on."""
        ...

    def begin(self, now: float) -> None:
        """Serve no block that began before ``now``."""
        ...

    def lost(self, host: str, reason: str) -> None:
        """Begin new epochs for a host that has lost what it learned."""
        ...

    def overtake(self, host: str, plan: int, epoch: int) -> None:
        """Give numbers above those that ``host`` has."""
        ...

    def take(self, inbox: Iterable[Up1 | Up2]) -> None:
        """Take messages in; nothing follows from them before the next step."""
        ...

    def step(self, now: float, inbox: Iterable[Up1 | Up2]) -> StepResult:
        """Take messages and return what follows from all that have come."""
        ...

    def standing(self) -> Standing:
        """Return how every row stands."""
        ...

    def effects(self) -> Mapping[str, Effect]:
        """Return how large the effects of open verdicts are by now, by verdict."""
        ...

    def explain(self, node: str) -> Explained:
        """Say why a node stands as it does; raise ``KeyError`` for one that is not known."""
        ...


class Minds(Protocol):
    """How a runtime comes by its pipeline."""

    def fresh(self, fleet: Fleet, remembered: Remembered) -> tuple[Mind, str]:
        """Return one for the first fleet of this run, and why it does not go on, "" if it does."""
        ...

    def regrouped(self, fleet: Fleet) -> Mind:
        """Return one for ``fleet``, keeping of the last one all that the change spares."""
        ...

    def saved(self) -> bytes | None:
        """Return a checkpoint of the one that serves now, None if there is none to be had."""
        ...
