"""The agent's settings, where it writes, and which variables of the environment are its own.

Apart from the program, because tests and lock-step runs make settings without a command line.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from ..adapters.sources import SourceOptions
from ..settings.load import NESTING, Settings
from ..settings.logs import Layout, Level

PREFIX: Final = "TESSERA_"
SYSTEM: Final = Path("/var/lib/tessera")
HIGHEST_PORT: Final = 65_535

# Settings of the other programs, which share the prefix.
OTHERS: Final = frozenset(
    {
        *("listen", "http_listen", "http_token", "topology", "metrics", "cluster", "q"),
        *("shortest", "horizon", "expect_hosts", "gather_seconds", "silent_after", "address"),
    }
)


def _address(value: str) -> str:
    """Return ``value`` if it is HOST:PORT; raise ``ValueError``."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > HIGHEST_PORT:
        message = "is not HOST:PORT; write for instance 127.0.0.1:9460"
        raise ValueError(message)
    return value


Address = Annotated[str, AfterValidator(_address)]


class AgentSettings(Settings):
    """What a person may set; times are seconds.

    ``host`` defaults to the machine's id, ``job``, ``role`` and ``sku`` to what the source says.
    ``source`` auto is the hardware that is found. ``recording``, ``beneath``, ``shards`` and
    ``began`` belong to the sources that are played.
    """

    aggregator: Address = "127.0.0.1:9460"
    agent_http: Address = "127.0.0.1:9462"
    state_dir: Path | None = None
    host: str = Field(default="", max_length=200)
    job: str = Field(default="", max_length=200)
    role: str = Field(default="", max_length=200)
    sku: str = Field(default="", max_length=200)
    source: str = Field(default="auto", min_length=1, max_length=100)
    recording: Path | None = None
    beneath: str | None = None
    shards: tuple[str, ...] = ()
    began: float | None = None
    tick_seconds: float = Field(default=1.0, ge=0.1, le=60.0)
    budget: float = Field(default=0.8, gt=0.0, le=60.0)
    log_layout: Layout = "text"
    log_level: Level = "info"

    @property
    def options(self) -> SourceOptions:
        """Return what the source is told."""
        return SourceOptions(
            recording=self.recording, beneath=self.beneath, shards=self.shards, began=self.began
        )


def own_environ(environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that are the agent's, and one line for each that nobody's is.

    All programs share the prefix, and one environment may hold the settings of several.
    """
    mine: dict[str, str] = {}
    strange: list[str] = []
    known = {*AgentSettings.model_fields, *OTHERS}
    for name, value in sorted(environ.items()):
        key = name.removeprefix(PREFIX).split(NESTING)[0].lower()
        if not name.startswith(PREFIX) or key in OTHERS:
            continue
        if key in AgentSettings.model_fields:
            mine[name] = value
            continue
        close = difflib.get_close_matches(key, known, n=1)
        meant = f"did you mean {PREFIX}{close[0].upper()}?" if close else "it is ignored"
        strange.append(f"{name}: no program of Tessera knows it; {meant}")
    return mine, tuple(strange)


def state_folder(settings: AgentSettings, environ: Mapping[str, str], home: Path) -> Path:
    """Return where the agent writes: its own folder beneath ``state_dir``, or the usual place.

    That is /var/lib/tessera where it can be written, else the user's own state folder.
    """
    if settings.state_dir is not None:
        return settings.state_dir / "agent"
    if os.access(SYSTEM, os.W_OK):
        return SYSTEM / "agent"
    own = environ.get("XDG_STATE_HOME", "")
    base = Path(own) if own else home / ".local" / "state"
    return base / "tessera" / "agent"


def told(settings: AgentSettings, folder: Path) -> str:
    """Return the settings that are in effect as TOML; what was not said is a comment."""
    lines = []
    for key in AgentSettings.model_fields:
        value = folder.parent if key == "state_dir" else getattr(settings, key)
        mark = "" if key in settings.model_fields_set else "  # default"
        if value is None:
            lines.append(f"# {key} is not set")
        else:
            lines.append(f"{key} = {_toml(value)}{mark}")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
