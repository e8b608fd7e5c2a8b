"""Give each source the facts of a former process of this agent that it can end.

Apart from the facts, which know no sources: without this, what was mended while nobody looked
would stand for ever.
"""

from collections.abc import Iterable, Sequence

from ..adapters.base import CounterSource, Resuming


def resume(
    sources: Sequence[CounterSource],
    standing: Iterable[tuple[str, str]],
    at: float,
    *,
    rebooted: bool,
) -> None:
    """Let ``sources`` take up what is ``standing``, (shard, code), at ``at`` (Unix seconds).

    ``rebooted`` says whether this host has booted since it was told.
    """
    told = tuple(standing)
    for source in sources:
        if told and isinstance(source, Resuming):
            source.resume(told, at, rebooted=rebooted)
