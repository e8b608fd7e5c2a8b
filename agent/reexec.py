"""Begin this program anew in its place: same process, same arguments, fresh libraries.

Apart, because a driver that was upgraded beneath its loaded library is never read again: the
library stays in the process however often it is shut down (NVML error 18).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, Protocol, runtime_checkable

AGAIN: Final = 75  # exit status of a run that wants to be begun anew: a temporary failure
PAUSE: Final = 60.0  # seconds between two new beginnings, at least
MARK: Final = "_TESSERA_BEGUN_ANEW"  # Unix seconds of the last new beginning, to our next self


@runtime_checkable
class Outdated(Protocol):
    """A source that cannot read any more until this process has begun anew."""

    @property
    def stale(self) -> str:
        """Why, in one line for a person; "" while it can."""
        ...


def stale(sources: Sequence[object]) -> str:
    """Return why one of ``sources`` needs a new process, "" where none does."""
    said = (source.stale for source in sources if isinstance(source, Outdated))
    return next(filter(None, said), "")


def may_begin(environ: Mapping[str, str], now: float) -> bool:
    """Say whether the last new beginning is long enough ago at ``now`` (Unix seconds).

    Where a driver and its library differ for good, as after half an upgrade, a new process is no
    better than the old one, and must not be begun each second.
    """
    try:
        last = float(environ.get(MARK, ""))
    except ValueError:
        return True
    return not 0 <= now - last < PAUSE


def begin(now: float, environ: Mapping[str, str] = os.environ) -> NoReturn:
    """Replace this process by one with the same arguments; all is written, nothing returns.

    Process number, standard streams and environment stay; every other file and thread is gone.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, {**environ, MARK: repr(now)})  # noqa: S606  our own command line
