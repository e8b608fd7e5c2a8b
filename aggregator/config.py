"""The aggregator's settings, and which variables of the environment are its own.

Apart from the program, because tests and the lock-step demo make settings without a command line.
"""

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from ..settings.load import NESTING, Settings
from ..settings.logs import Layout, Level

PREFIX: Final = "TESSERA_"
LADDER_FROM: Final = 5  # seconds: the shortest block live (DESIGN.md section 4)

# Settings of the other programs, which share the prefix.
OTHERS: Final = frozenset(
    {
        *("aggregator", "agent_http", "host", "job", "role", "sku", "source", "recording"),
        *("beneath", "shards", "began", "tick_seconds", "budget", "address"),
    }
)


def _address(value: str) -> str:
    """Return ``value`` if it is HOST:PORT; raise ``ValueError``."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - ports
        message = "is not HOST:PORT; write for instance 127.0.0.1:9460"
        raise ValueError(message)
    return value


def _token(value: str) -> str:
    """Return ``value`` if it can be a bearer token; raise ``ValueError`` without showing it."""
    if value and (len(value) < 16 or not value.isascii() or not value.isprintable()):  # noqa: PLR2004 - characters
        message = "is not a token; use at least 16 printable ASCII characters"
        raise ValueError(message)
    if " " in value:
        message = "is not a token; it may hold no spaces"
        raise ValueError(message)
    return value


def _rung(value: int) -> int:
    """Return ``value`` if it is a block length that is served live; raise ``ValueError``."""
    if value not in (5, 10, 30, 60):
        message = "is no block length; use 5, 10, 30 or 60 seconds"
        raise ValueError(message)
    return value


Address = Annotated[str, AfterValidator(_address)]


class AggregatorSettings(Settings):
    """What a person may set; times are seconds.

    ``http_token`` and ``http_listen`` are taken and checked, and used once DeploySignal is served.
    """

    listen: Address = "127.0.0.1:9460"
    http_listen: Address = "127.0.0.1:9461"
    http_token: Annotated[str, AfterValidator(_token)] = ""
    state_dir: Path | None = None
    topology: Path | None = None
    metrics: Path | None = None
    cluster: str = Field(default="cluster", min_length=1, max_length=200)
    q: float = Field(default=0.1, gt=0, lt=1)
    shortest: Annotated[int, AfterValidator(_rung)] = LADDER_FROM
    horizon: float = Field(default=604_800.0, ge=3600, le=31_536_000)
    expect_hosts: int = Field(default=0, ge=0, le=20_000)
    gather_seconds: float = Field(default=10.0, ge=0, le=3600)
    silent_after: float = Field(default=15.0, ge=1, le=3600)
    log_layout: Layout = "text"
    log_level: Level = "info"


def own_environ(environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that are the aggregator's, and one line for each that nobody's is.

    All programs share the prefix, and one environment may hold the settings of several.
    """
    mine: dict[str, str] = {}
    strange: list[str] = []
    known = {*AggregatorSettings.model_fields, *OTHERS}
    for name, value in sorted(environ.items()):
        key = name.removeprefix(PREFIX).split(NESTING)[0].lower()
        if not name.startswith(PREFIX) or key in OTHERS:
            continue
        if key in AggregatorSettings.model_fields:
            mine[name] = value
            continue
        close = difflib.get_close_matches(key, known, n=1)
        meant = f"did you mean {PREFIX}{close[0].upper()}?" if close else "it is ignored"
        strange.append(f"{name}: no program of Tessera knows it; {meant}")
    return mine, tuple(strange)


def state_folder(settings: AggregatorSettings, environ: Mapping[str, str], home: Path) -> Path:
    """Return where the aggregator writes: its own folder beneath ``state_dir``, or the usual place.

    That is /var/lib/tessera where it can be written, else the user's own state folder.
    """
    if settings.state_dir is not None:
        return settings.state_dir / "aggregator"
    system = Path("/var/lib/tessera")
    if os.access(system, os.W_OK):
        return system / "aggregator"
    own = environ.get("XDG_STATE_HOME", "")
    base = Path(own) if own else home / ".local" / "state"
    return base / "tessera" / "aggregator"


def is_loopback(address: str) -> bool:
    """Say whether only this machine can reach ``address`` (HOST:PORT)."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
