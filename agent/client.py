"""Say how long a step took to the agent of this host, from inside the program that takes it.

Apart, and with the standard library alone, because a training job imports it (or a copy of this one
file) beside whatever it has: it never raises, never waits, and is silent where there is no agent.

    from tessera.agent.client import push, timer

    with timer("step_time_seconds"):
        train_one_step()
    push("tokens_per_second", 51_200.0)
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

VARIABLE = "TESSERA_SOCKET"
RUNTIME = "/run/tessera"
STATE = "/var/lib/tessera/agent"
FILE = "agent.sock"

Json = Mapping[str, object]


class Client:
    """One program's way to the agent. ``sent`` and ``dropped`` count datagrams.

    It may be shared by threads, and used on after a fork.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the variables that say where the agent listens and which device is meant."""
        self.sent = self.dropped = 0
        self._environ = environ
        self._socket: socket.socket | None = None
        self._paths = paths(environ)
        self._about: Json | None = None

    def push(
        self,
        metric: str,
        value: float,
        *,
        rank: int | None = None,
        device: str | int | None = None,
    ) -> bool:
        """Send one ``value``; return whether the agent's socket took it.

        ``device`` is a vendor's id (the UUID that `nvidia-smi -L` shows: the surest) or the number
        of a device of this host; by default both are taken from the launcher's variables.
        """
        try:
            about = dict(self._bearing())
            if device is not None:
                about = {"device": device}
            if rank is not None:
                about["rank"] = rank
            return self.tell({"metric": metric, "value": float(value), **about})
        except Exception:  # noqa: BLE001  whatever it is, a step of a job is worth more
            self.dropped += 1
            return False

    @contextmanager
    def timer(
        self,
        metric: str = "step_time_seconds",
        *,
        rank: int | None = None,
        device: str | int | None = None,
    ) -> Iterator[None]:
        """Push how many seconds the block took, unless it raised."""
        began = time.perf_counter()
        yield
        self.push(metric, time.perf_counter() - began, rank=rank, device=device)

    def tell(self, message: Json) -> bool:
        """Send one message as a datagram; return whether the agent's socket took it."""
        try:
            taken = self._send(self.encoded(message))
        except Exception:  # noqa: BLE001  see push
            taken = False
        self.sent += taken
        self.dropped += not taken
        return taken

    def encoded(self, message: Json) -> bytes:
        """Return ``message`` as it is sent."""
        return json.dumps(message).encode()

    def close(self) -> None:
        """Close the socket; the next value opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, datagram: bytes) -> bool:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)  # noqa: FBT003  socket's own signature
        for path in self._paths:
            try:
                self._socket.sendto(datagram, path)
            except (FileNotFoundError, ConnectionRefusedError, PermissionError, NotADirectoryError):
                continue
            return True
        return False

    def _bearing(self) -> Json:
        if self._about is None:
            self._about = bearing(self._environ)
        return self._about


def paths(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return where an agent may listen, the likeliest first."""
    if said := environ.get(VARIABLE, ""):
        return (said,)
    own = environ.get("XDG_RUNTIME_DIR", "")
    state = environ.get("XDG_STATE_HOME", "") or os.path.join(  # noqa: PTH118  no pathlib: import time
        environ.get("HOME", "/"), ".local", "state"
    )
    folders = [RUNTIME, *([f"{own}/tessera"] if own else []), STATE, f"{state}/tessera/agent"]
    return tuple(f"{folder}/{FILE}" for folder in folders)


def bearing(environ: Mapping[str, str]) -> Json:
    """Return ``rank`` and ``device`` as the launcher's variables tell them, as far as they do.

    ``among`` are the devices that ``device`` counts in where these are not all of the host's: those
    of a container or of a Slurm job, whose numbers begin anew.
    """
    about: dict[str, object] = {}
    local = _first(environ, "LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK")
    rank = _first(environ, "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
    if rank is not None or local is not None:
        about["rank"] = rank if rank is not None else local
    visible = _listed(environ, "CUDA_VISIBLE_DEVICES", "TPU_VISIBLE_CHIPS", "TPU_VISIBLE_DEVICES")
    among = _among(environ, visible or ())
    device = _mine(visible, local)
    if visible is None and len(among) == 1:
        device = "0"  # a container's only one, whatever number the rank has
    if device is not None:
        about["device"] = device
        about |= {"among": among} if among else {}
    return about


def _mine(visible: Sequence[str] | None, local: int | None) -> str | None:
    """Return the device of the process that is number ``local`` on this host."""
    if visible is None:
        return None if local is None else str(local)
    if len(visible) == 1:
        return visible[0]  # a launcher that shows each process its own
    return None if local is None or local >= len(visible) else visible[local]


def _among(environ: Mapping[str, str], visible: Sequence[str]) -> list[str]:
    """Return the host's devices in which the numbers of ``visible`` count, [] = in all."""
    if not all(name.isdecimal() for name in visible):
        return []  # names count in nothing
    container = _listed(environ, "NVIDIA_VISIBLE_DEVICES") or ()
    if container and not {"all", "none", "void"} & set(container):
        return list(container)
    of_job = _listed(environ, "SLURM_STEP_GPUS", "SLURM_JOB_GPUS") or ()
    relative = not set(visible) <= set(of_job)  # a job in a cgroup of its own counts from 0
    return list(of_job) if relative else []


def _listed(environ: Mapping[str, str], *names: str) -> tuple[str, ...] | None:
    """Return the list that the first of the variables that is there holds, up to a −1."""
    for name in names:
        if name in environ:
            parts = [part.strip() for part in environ[name].split(",")]
            end = parts.index("-1") if "-1" in parts else len(parts)
            return tuple(part for part in parts[:end] if part)
    return None


def _first(environ: Mapping[str, str], *names: str) -> int | None:
    """Return the first of the variables that holds a number."""
    for name in names:
        text = environ.get(name, "")
        if text.isascii() and text.isdecimal():
            return int(text)
    return None


_client = Client(os.environ)
push = _client.push
timer = _client.timer
tell = _client.tell


def counts() -> tuple[int, int]:
    """Return how many datagrams of this program were sent, and how many dropped."""
    return _client.sent, _client.dropped
