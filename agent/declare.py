"""Hand one message of a person to the agent of this host, or say why it would not be heard.

Apart from the client of training jobs, which is silent by design: a person must know.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from time import time

from ..settings.refused import Refused
from .client import VARIABLE, Client, paths
from .config import AgentSettings
from .datagram import BadDatagram, parse
from .mailbox import socket_path
from .workload import NEWEST, OLDEST


def declare(message: Mapping[str, object], settings: AgentSettings, folder: Path) -> None:
    """Send ``message`` to the agent that writes in ``folder``; or raise ``Refused``."""
    client = Client({VARIABLE: str(_socket(settings, folder))})
    told = client.encoded(message)
    try:
        parse(told.decode())
    except BadDatagram as bad:
        raise Refused(str(bad)) from None
    at = message.get("at")
    if isinstance(at, float) and not -OLDEST <= at - time() <= NEWEST:
        refused = "--at is more than an hour ago, or more than five minutes ahead: name another"
        raise Refused(refused)
    try:
        if not client.tell(message):
            what = f"{_socket(settings, folder)}: nobody listens; start the agent, or try again"
            raise Refused(what)
    finally:
        client.close()


def _socket(settings: AgentSettings, folder: Path) -> Path:
    """Return where the agent listens; raise ``Refused`` where it would not listen to us."""
    if settings.socket is None and settings.state_dir is None:
        known = [Path(path) for path in paths(os.environ)]
    else:
        said = socket_path(settings.socket, settings.state_dir, folder, os.environ)
        known = [] if said is None else [said]
    found = next((path for path in known if path.exists()), None)
    if found is None:
        where = " or ".join(map(str, known)) or "no socket"
        message = f"no agent listens at {where}; start it, or name its --socket"
        raise Refused(message)
    if os.geteuid() not in (0, found.stat().st_uid):
        message = f"{found}: only root and the agent's own user may declare this; run it as root"
        raise Refused(message)
    return found
