"""The agent's unix datagram socket: who may say what, read in a thread and kept until a tick.

Apart from what is done with it, because the kernel holds ten datagrams at most: somebody has to
read all the time, and a tick comes once a second.
"""

import os
import socket
import stat
import struct
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final

import structlog

from . import client
from .datagram import LARGEST, BadDatagram, Note, Push, lines, parse

MODE: Final = 0o666  # jobs run under their users' ids; what changes evidence asks who speaks
MOST_WAITING: Final = 20_000  # notes between two ticks; beyond, new ones are dropped and counted
MOST_TEXT: Final = 4_000_000  # characters of them: a line may be long, and memory is a job's
GOODBYE: Final = 2.0  # seconds that the thread has to end
_CREDENTIALS: Final = struct.Struct("3i")  # process, user and group of who sent: unix(7)
_ROOT: Final = 0


class Mailbox:
    """Listens at ``path`` once it is opened.

    Anybody on the host may push values. Jobs, events and pauses are taken from root and from the
    agent's own user alone, as the kernel tells them: they make shards begin anew. ``counts`` are
    taken, ``bad``, ``forbidden`` and ``dropped`` lines, ``last_bad`` is what was wrong last.
    """

    def __init__(self, path: Path) -> None:
        """Take where to listen; nothing is opened."""
        self.path = path
        self.counts: Counter[str] = Counter()
        self.last_bad = ""
        self._waiting: deque[Note] = deque()
        self._text = 0  # characters of the lines that wait
        self._socket: socket.socket | None = None
        self._thread: Thread | None = None
        self._own_folder = False

    @property
    def is_open(self) -> bool:
        """Whether anybody may be heard."""
        return self._socket is not None

    def open(self) -> None:
        """Listen; raise ``OSError`` where that cannot be, as when another agent does.

        A socket that nobody listens at is taken away first; any other file is left alone.
        """
        if self._socket is not None:
            return
        self._own_folder = not self.path.parent.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _take_away(self.path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            made.bind(str(self.path))
            self.path.chmod(MODE)
        except OSError:
            made.close()
            raise
        self._socket = made
        self._thread = Thread(target=self._read, args=(made,), name="mailbox", daemon=True)
        self._thread.start()

    def take(self) -> list[Note]:
        """Return what was said since the last call, oldest first."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._text = 0
        return taken

    def tend(self) -> None:
        """Log what was wrong lately, and listen again where we cannot be heard any more.

        As when somebody removed the socket's file, or the agent that held it has ended.
        """
        log = structlog.get_logger("agent")
        if self.last_bad:
            log.warning("bad line from a local program", reason=self.last_bad, **self.counts)
            self.last_bad = ""
        if self._thread is not None and self._thread.is_alive() and self.path.exists():
            return
        self.close()
        with suppress(OSError):
            self.open()
            log.info("listens for local programs", path=str(self.path))

    def close(self) -> None:
        """Stop listening and take the socket's file away; it may not be open."""
        listening, self._socket = self._socket, None
        if listening is None:
            return
        with suppress(OSError):
            self.path.unlink()  # while it is surely ours
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)  # wakes the thread
        if self._thread is not None:
            self._thread.join(GOODBYE)
        listening.close()
        if self._own_folder:
            with suppress(OSError):
                self.path.parent.rmdir()

    def _read(self, listening: socket.socket) -> None:
        space = socket.CMSG_SPACE(_CREDENTIALS.size)
        while self._socket is listening:
            try:
                said, extra, flags, _ = listening.recvmsg(LARGEST + 1, space)
            except OSError:
                break
            if self._socket is not listening:
                break  # woken to end
            too_long = bool(flags & socket.MSG_TRUNC)
            self._take(said if not too_long else bytes(LARGEST + 1), _user(extra))

    def _take(self, said: bytes, user: int | None) -> None:
        try:
            told = list(lines(said))
        except BadDatagram as bad:
            self._note_bad(bad)
            return
        for line in told:
            try:
                note = parse(line)
            except BadDatagram as bad:
                self._note_bad(bad)
                continue
            if not isinstance(note, Push) and user not in (_ROOT, os.geteuid()):
                self.counts["forbidden"] += 1
            elif len(self._waiting) >= MOST_WAITING or self._text + len(line) > MOST_TEXT:
                self.counts["dropped"] += 1
            else:
                self._waiting.append(note)
                self._text += len(line)
                self.counts["taken"] += 1

    def _note_bad(self, bad: BadDatagram) -> None:
        self.counts["bad"] += 1
        self.last_bad = str(bad)


def socket_path(
    said: str | None, state_dir: Path | None, folder: Path, environ: Mapping[str, str]
) -> Path | None:
    """Return where an agent that writes in ``folder`` listens, None = nowhere.

    ``said`` is the setting, "" for nowhere. Unsaid it is /run/tessera for an agent of the system,
    the user's own runtime folder for another, and the state folder where one is named.
    """
    if said is not None:
        return Path(said) if said else None
    runtime = Path(client.RUNTIME)
    own = environ.get("XDG_RUNTIME_DIR", "")
    if state_dir is None and os.access(runtime if runtime.exists() else runtime.parent, os.W_OK):
        return runtime / client.FILE
    if state_dir is None and own:
        return Path(own) / "tessera" / client.FILE
    return folder / client.FILE


def opened(mailbox: Mailbox) -> bool:
    """Open ``mailbox``; where that cannot be say why in one line, and go on without."""
    try:
        mailbox.open()
    except OSError as fault:
        why = (fault.strerror or str(fault)).lower()
        told = {"path": str(mailbox.path), "reason": why, "todo": "name another as socket"}
        structlog.get_logger("agent").warning("no socket for local programs", **told)
        return False
    return True


def _take_away(path: Path) -> None:
    """Remove the socket at ``path`` if its owner has died; raise ``OSError`` if he lives."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return  # bind says that it is there
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _user(extra: list[tuple[int, int, bytes]]) -> int | None:
    """Return the user id of who sent, None where the kernel did not tell."""
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int(_CREDENTIALS.unpack(data[: _CREDENTIALS.size])[1])
    return None
