"""Explain a verdict in one sentence made from its numbers.

Apart, because the same sentence goes to the log, to the terminal and to DeploySignal.
"""

from dataclasses import dataclass
from math import exp, log

from ..state.evidence import Lead

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
    """Return which metrics do what, the two strongest by name."""
    more = len(lead.metrics) - 2
    if more > 0:
        what = f"{lead.metrics[0]}, {lead.metrics[1]} and {more} more"
    else:
        what = " and ".join(lead.metrics)
    one = len(lead.metrics) == 1
    if lead.channel == "temporal":
        return f"the whole fleet moved: {what} {'has' if one else 'have'} changed"
    if lead.channel == "level":
        return f"{what} {'is' if one else 'are'} out of family"
    return f"{what} {'has' if one else 'have'} changed"


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
