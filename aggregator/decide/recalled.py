"""A verdict as the disk keeps it, as the transition that it was last seen in.

Apart from verdicts, which know nothing of a disk, and from the records, which know of nothing else.
"""

from ..state.records import VerdictRecord
from .transition import Transition


def recalled(record: VerdictRecord) -> Transition:
    """Return a verdict of a former run as its last transition."""
    return Transition(
        transition=record.change,
        node=record.node,
        level=record.level,
        channel=record.channel,  # type: ignore[arg-type]  # we wrote it
        guarantee=record.guarantee,  # type: ignore[arg-type]  # as above
        validity_class=record.validity_class,
        log_e=record.log_e,
        at=record.at,
        since=record.since,
        metrics=record.metrics,
        reason=record.reason,
        id=record.id,
        family=record.family,
        state="recovering" if record.change == "recovering" else "open",
        turned=record.turned,
    )
