"""Explain a verdict in one sentence made from its numbers.

Apart, because the same sentence goes to the log, to the terminal and to DeploySignal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from ...adapters.catalogue import COUNTS, split
from ..state.evidence import Lead

# What a metric, or several, have done, by the score that says so.
_PHRASES = {
    "mean": ("{} has changed", "{} have changed"),
    "spread": ("the spread of {} has changed", "the spreads of {} have changed"),
    "oscillation": ("{} oscillates more than it did", "{} oscillate more than they did"),
    "spike": ("{} has larger spikes than it had", "{} have larger spikes than they had"),
    "joint": ("the way its metrics go together has changed",) * 2,
}

E_LIMIT = 4.0  # nats up to which e itself is easier to read than its power of ten


@dataclass(frozen=True, slots=True)
class Passed:
    """Which bar a row passed: ``log_e`` its value in the test, ``threshold`` ln(N/q), both nats.

    ``listed`` rows were selected together, so the bar is ``threshold`` − ln ``listed``.
    """

    guarantee: str
    log_e: float
    threshold: float
    listed: int


def reason_opened(
    lead: Lead, passed: Passed, *, others: int, inner: bool, heterogeneous: bool
) -> str:
    """Return why a verdict opened or was promoted.

    ``others`` stand beside the row in its group; those of an ``inner`` node are its siblings.
    """
    bar = in_words(passed.threshold - log(passed.listed))
    place = "alone" if passed.listed == 1 else f"in a list of {passed.listed}"
    odd = (
        "; heterogeneous_group: several of its group disagree, so this is no claim" * heterogeneous
    )
    return (
        f"{_claim(lead)} against {_against(others, inner=inner)}: "
        f"e = {in_words(passed.log_e)}, {place} it needs {bar}; {_guarantee(lead, passed)}{odd}"
    )


def _claim(lead: Lead) -> str:
    """Return which metrics do what: those of the score that carries most, then the others."""
    if lead.family == COUNTS:  # the strongest, which is counted, and the others
        first, *rest = lead.metrics
        claim = f"too many {first}"
        return f"{claim} (also {_named(rest)})" if rest else claim
    score = split(lead.metrics[0])[1]
    names = [base for base, other in map(split, lead.metrics) if other == score]
    beside = [name for name in lead.metrics if split(name)[1] != score]
    what, one = _named(names), len(names) == 1
    if lead.channel == "temporal":
        return f"the whole fleet moved: {what} {'has' if one else 'have'} changed"
    if lead.channel == "level":
        claim = f"{what} {'is' if one else 'are'} out of family"
    else:
        claim = _PHRASES[score][0 if one else 1].format(what)
    return f"{claim} (also {_named(beside)})" if beside else claim


def _named(names: Sequence[str]) -> str:
    """Return the two strongest by name, the others by number."""
    more = len(names) - 2
    return f"{names[0]}, {names[1]} and {more} more" if more > 0 else " and ".join(names)


def _guarantee(lead: Lead, passed: Passed) -> str:
    """Return what may be claimed, and why no more."""
    return f"ranked: {lead.why_ranked}" if lead.why_ranked else passed.guarantee


def _against(others: int, *, inner: bool) -> str:
    if others == 0:
        return "its own past"
    word = "sibling" if inner else "peer"
    return f"its {others} {word}{'s' if others > 1 else ''}"


def reason_closed(above: str) -> str:
    """Return why a verdict was folded into another."""
    return f"explained by {above}, which is open"


def in_words(log_e: float) -> str:
    """Return e in words: as a number while it is small, else as a power of ten."""
    return f"{exp(log_e):.3g}" if log_e < E_LIMIT else f"10^{log_e / log(10):.1f}"


def reason_recovering(*, level: bool) -> str:
    """Return why a verdict recovers; a falling e would be no reason."""
    what = "half of the margin" if level else "half of the effect that it had at its opening"
    return f"e = 20 against {what} being there still"


def reason_relapsed() -> str:
    """Return why a verdict that was recovering is open again."""
    return "e = 20 for the fault since it began to recover"


def reason_lost() -> str:
    """Return why a verdict is open again whose agent has lost what it knew of the recovery."""
    return "what was known of its recovery is lost with its agent's state"


def reason_recovered(seconds: float) -> str:
    """Return why a verdict is closed by what is measured, after ``seconds`` of recovering."""
    return f"recovered: {seconds / 60.0:.0f} minutes of evidence without a relapse"


def reason_by_hand(actor: str, reason: str) -> str:
    """Return why a verdict was closed by a person."""
    return f"closed by {actor}: {reason}"


def reason_demoted(why: str) -> str:
    """Return why a controlled verdict is a ranked one from now on (statistics.md G4)."""
    return f"no longer controlled: {why or 'its class was lost inside its epoch'}"


def reason_shorter() -> str:
    """Return why another verdict's demotion takes the claim from this one too."""
    return "no longer controlled: it is too weak for what is left of the list of its claim"
