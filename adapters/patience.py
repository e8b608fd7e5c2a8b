"""Ask a source for its shards, and do not wait for ever where its driver does not answer.

Apart, because this is asked before there is an agent that could tell of a call that hangs.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Final

from .base import Busy, CounterSource, Shard, SourceUnavailable

PATIENCE: Final = 60.0  # seconds; a driver that keeps no state may need some for each device


def shards_of_source(source: CounterSource, patience: float = PATIENCE) -> Sequence[Shard]:
    """Return what ``source`` serves; raise ``SourceUnavailable``, also after ``patience`` seconds.

    A call that hangs is left behind in a thread that keeps no program from ending.
    """
    answer: Future[Sequence[Shard]] = Future()

    def ask() -> None:
        try:
            answer.set_result(source.shards())
        except BaseException as fault:  # noqa: BLE001  it is raised by who waits
            answer.set_exception(fault)

    Thread(target=ask, name=f"shards of {source.name}", daemon=True).start()
    try:
        return answer.result(patience)
    except TimeoutError:
        if answer.done():
            raise  # the source's own
    doing = source.doing if isinstance(source, Busy) else ""
    reason = f"{doing or 'its driver'} has hung for {patience:.0f} s; reset the device or reboot"
    raise SourceUnavailable(source.name, reason)
