"""Explain a verdict in one sentence made from its numbers.

Apart, because the same sentence goes to the log, to the terminal and to DeploySignal.
"""

from math import exp, log

from ..state.evidence import Lead

E_LIMIT = 4.0  # nats up to which e itself is easier to read than its power of ten


def reason_opened(
    lead: Lead, members: int, threshold: float, guarantee: str, *, heterogeneous: bool
) -> str:
    """Return why a verdict opened or was promoted."""
    what = " and ".join(lead.metrics[:2]) + (
        f" and {len(lead.metrics) - 2} more" if len(lead.metrics) > 2 else ""  # noqa: PLR2004 - two named
    )
    against = f"its {members - 1} peers" if members > 1 else "its own past"
    claim = "is out of family against" if lead.channel == "level" else "has changed against"
    odd = (
        "; heterogeneous_group: several of its group disagree, so this is no claim" * heterogeneous
    )
    return (
        f"{what} {claim} {against}: e = {_words(lead.log_e)}, {guarantee}, "
        f"first of the list needs {_words(threshold)}{odd}"
    )


def reason_closed(above: str) -> str:
    """Return why a verdict was folded into another."""
    return f"explained by {above}, which is open"


def _words(log_e: float) -> str:
    """Return e in words: as a number while it is small, else as a power of ten."""
    return f"{exp(log_e):.3g}" if log_e < E_LIMIT else f"10^{log_e / log(10):.1f}"
