"""Keep neuron-monitor running and read what it writes, whatever it does.

Apart from the source, because a child can hang, babble or die, and the thread that answers the
agent's ticks must not wait for it.
"""

import json
import shlex
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Final

from ..child import GRACE, Child
from .documents import LARGEST, Documents
from .report import BadReport, Report, parse_report

COMMAND: Final = "/opt/aws/neuron/bin/neuron-monitor"
PERIOD: Final = 1.0  # seconds between two reports
STALE, EXITED, UNSTARTABLE = "stale", "exited", "not_started"

_PATIENCE = 3  # periods without a report: it hangs
_FIRST = 10.0  # seconds that it has for its first report: it looks for devices and processes
_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds before it is started again
_LOOK = 0.25  # seconds between two looks at whether to go on
_KEPT = 64  # reports that nobody has asked for; older ones are dropped

_GROUPS = ("neuroncore_counters", "memory_used", "execution_stats")


def configuration(period: float) -> str:
    """Return the text of a configuration that asks each ``period`` s for what is read here."""
    groups = [{"type": name} for name in _GROUPS]
    return json.dumps(
        {
            "period": f"{period:g}s",
            "neuron_runtimes": [{"tag_filter": ".*", "metrics": groups}],
            "system_metrics": [{"type": "neuron_hw_counters"}],
        }
    )


class Monitor:
    """One neuron-monitor and the thread that reads it; nothing is started before ``start``.

    ``counted`` holds what went wrong so far: documents ``skipped``, ``oversized``, ``strange``
    (no report), ``dropped`` (nobody asked in time); children ``exited``, ``stale``,
    ``not_started``.
    """

    def __init__(  # noqa: PLR0913 - each of them is a bound that a test must be able to set
        self,
        command: str = COMMAND,
        *,
        period: float = PERIOD,
        patience: float = _FIRST,
        wait: float = _WAIT,
        largest: int = LARGEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the command line, without its configuration, and the seconds between reports.

        ``patience`` is the seconds until the first report, ``wait`` those before the second start,
        each time twice as long up to a minute; ``largest`` the characters of one document. Raises
        ``ValueError`` for a command line that cannot be read.
        """
        self.counted: Counter[str] = Counter()
        self.child: int | None = None  # its process id, while one runs
        self._command = _words(command)
        self._period = period
        self._patience = patience
        self._wait = wait
        self._largest = largest
        self._clock = clock
        self._reports: deque[tuple[float, Report]] = deque()
        self._trouble = ""
        self._first = Event()
        self._ended = Event()
        self._thread: Thread | None = None

    @property
    def trouble(self) -> str:
        """Why there are no reports now, as a code; "" where there are, or are expected."""
        return self._trouble

    def can_start(self) -> bool:
        """Say whether there is such a program."""
        return bool(self._command) and shutil.which(self._command[0]) is not None

    def start(self) -> None:
        """Start the thread that starts the child; a second call does nothing."""
        if self._thread is None:
            self._ended.clear()
            self._thread = Thread(target=self._run, name="neuron-monitor", daemon=True)
            self._thread.start()

    def wait_first(self, seconds: float) -> bool:
        """Wait for the first report, and say whether it came."""
        return self._first.wait(seconds)

    def reports(self) -> list[tuple[float, Report]]:
        """Return the reports since the last call, each with when it came by the clock."""
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._reports.popleft())
        return found

    def close(self) -> None:
        """End the child with all that it has started, and the thread; ``start`` may follow."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2 * GRACE + _LOOK)
            self._thread = None

    def _run(self) -> None:
        wait = self._wait
        while not self._ended.is_set():
            try:
                heard = self._run_once()
            except OSError:  # no such program, or no place for its configuration
                self._fail(UNSTARTABLE)
                heard = False
            wait = self._wait if heard else wait
            self._ended.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _run_once(self) -> bool:
        """Run a child until it ends, hangs or is to be closed; say whether it reported anything.

        Raises ``OSError`` where it cannot be started.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as settings:
            settings.write(configuration(self._period))
            settings.flush()
            child = Child((*self._command, "-c", settings.name))
            self.child = child.pid
            try:
                return self._follow(child)
            finally:
                child.end()
                self.child = None

    def _follow(self, child: Child) -> bool:
        documents = Documents(self._largest)
        heard = False
        deadline = self._clock() + self._patience
        while not self._ended.is_set():
            data = child.read(_LOOK)
            now = self._clock()
            if data is None:
                self._fail(EXITED)
                return heard
            if data and self._take(documents, data, now):
                heard = True
                deadline = now + _PATIENCE * self._period
            elif now > deadline:
                self._fail(STALE)
                return heard
        return heard

    def _take(self, documents: Documents, data: bytes, now: float) -> bool:
        """Read what ``data`` completes and say whether there was a report in it."""
        before = documents.skipped, documents.oversized
        heard = False
        for document in documents.feed(data):
            try:
                report = parse_report(document)
            except BadReport:
                self.counted["strange"] += 1
                continue
            heard = True
            self._reports.append((now, report))
            if len(self._reports) > _KEPT:
                self._reports.popleft()
                self.counted["dropped"] += 1
        self.counted["skipped"] += documents.skipped - before[0]
        self.counted["oversized"] += documents.oversized - before[1]
        if heard:
            self._trouble = ""
            self._first.set()
        return heard

    def _fail(self, trouble: str) -> None:
        self.counted[trouble] += 1
        self._trouble = trouble


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        message = f"neuron_monitor {command[:60]!r} is no command line: close its quotes"
        raise ValueError(message) from None
