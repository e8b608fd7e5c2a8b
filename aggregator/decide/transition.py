"""One step in the life of a verdict, as it is told, kept and shown.

Apart from the verdicts, which take the steps: everybody who tells of them reads only these.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ..state.fleet import Fleet
from .lives import Effect, TurnWord

TransitionWord = Literal["opened", "promoted", "relabelled", "recovering", "reopened", "closed"]
State = Literal["open", "recovering", "closed"]
Guarantee = Literal["controlled", "ranked"]
Channel = Literal["change", "level", "fact", "temporal"]

STATES: Final[Mapping[TurnWord, State]] = {
    "recovering": "recovering",
    "reopened": "open",
    "closed": "closed",
}
ACTOR: Final = "tessera"  # who opens, promotes and folds; what persons do bears their own name


@dataclass(frozen=True, slots=True)
class Transition:
    """One step in a verdict's life. Times are seconds of the recording or of Unix time.

    ``id`` names the verdict through all its steps and is never used again.
    ``log_e`` is the log e-value by which the node was selected, in nats: of a controlled verdict
    the adjusted running maximum, of a ranked one the merged value. ``metrics`` are those that
    carried it, strongest first; ``since`` the likely onset. ``family`` is the score of what carried
    most, "" where none did. ``state`` is what the verdict is from this step on, ``turned`` when it
    became that; ``effect`` how large it was in this step, None while nothing was seen after the
    opening; ``actor`` who did it.
    """

    transition: TransitionWord
    node: str
    level: str
    channel: Channel
    guarantee: Guarantee
    validity_class: str
    log_e: float
    at: float
    since: float
    metrics: tuple[str, ...]
    reason: str
    id: str = ""
    family: str = ""
    state: State = "open"
    turned: float = 0.0
    effect: Effect | None = None
    actor: str = ACTOR


def closed(held: Transition, at: float, reason: str) -> Transition:
    """Return the step that closes ``held``."""
    return replace(
        held, transition="closed", at=at, reason=reason, state="closed", turned=at, actor=ACTOR
    )


def differences(
    held: Mapping[str, Transition], told: Sequence[Transition]
) -> Iterator[tuple[str, str]]:
    """Yield in what ``held`` (by id) and ``told`` differ, as (node, text)."""
    for verdict in told:
        if verdict.id not in held:
            yield verdict.node, f"{verdict.id} stays open with the evidence of its opening"
    known = {verdict.id for verdict in told}
    for verdict in held.values():
        if verdict.id not in known:
            yield verdict.node, f"{verdict.id} is not open: nobody was told of it, or it was closed"


def number(verdict: Transition) -> int:
    """Return the number in the id of ``verdict``, by which verdicts are in order of opening."""
    return int(verdict.id[1:])


def level_word(fleet: Fleet, row: int) -> str:
    """Return "shard" for a shard, else the kind of the inner node."""
    return "shard" if row < fleet.shard_count else fleet.kinds[row]
