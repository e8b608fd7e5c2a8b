"""Whether a device has been reset and has been well since: what a hard fact needs to end.

Apart, because a device that answers is not yet one that was mended.
"""

from dataclasses import dataclass, replace
from math import inf

from .event_calls import Condition


@dataclass(frozen=True, slots=True)
class Look:
    """A device at its last look, at ``at`` (Unix seconds).

    ``well_since`` is since when it has answered without asking for a recovery, None while it does
    not; ``reset_at`` when it was last seen to have been reset, or its driver loaded anew;
    ``action`` is the recovery that it asks for, 0 for none and where it cannot say.
    """

    at: float
    well_since: float | None = None
    reset_at: float = -inf
    action: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """How a former process saw a device last: lost, asked for a recovery, with which energy."""

    lost: bool = False
    asked: bool = False
    energy: float | None = None


@dataclass(slots=True)
class Recovery:
    """Follows one device from look to look.

    It was reset if it answers again after it was lost, if it no longer asks for a recovery, or if
    its energy, which counts from reset or driver load, has fallen.
    """

    look: Look
    lost: bool = False
    energy: int | None = None

    def resume(self, at: float, past: Past) -> None:
        """Take at ``at`` what a former process knew; it may have answered since, or will."""
        energy = None if past.energy is None else int(past.energy)
        fell = None not in (energy, self.energy) and (self.energy or 0) < (energy or 0)
        well, action = self.look.well_since is not None, self.look.action
        if fell or (past.lost and well) or (past.asked and well):
            self.look = replace(self.look, well_since=at if well else None, reset_at=at)
        elif not well:
            self.lost |= past.lost
            self.look = replace(self.look, action=action or int(past.asked))
            self.energy = energy if self.energy is None else self.energy

    def answered(self, at: float, now: Condition) -> None:
        """Take what the device said of itself at ``at``."""
        before, action = self.look, now.action or 0
        fell = None not in (now.energy, self.energy) and (now.energy or 0) < (self.energy or 0)
        reset = self.lost or fell or (before.action != 0 and action == 0)
        since = at if before.well_since is None or reset else min(before.well_since, at)
        self.look = Look(
            at,
            well_since=None if action else since,
            reset_at=at if reset else before.reset_at,
            action=action,
        )
        self.lost = False
        self.energy = self.energy if now.energy is None else now.energy

    def failed(self, at: float, *, lost: bool) -> None:
        """Take that the device did not answer at ``at``; ``lost``: it will not before a reset."""
        self.look = Look(at, reset_at=self.look.reset_at, action=self.look.action)
        self.lost |= lost
