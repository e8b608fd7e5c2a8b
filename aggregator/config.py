"""The aggregator's settings: what a person may set, its bounds and its defaults.

Apart from the program, because tests and the lock-step demo make settings without a command line.
"""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from ..adapters.catalogue import BESIDE, Score
from ..settings.address import SERVED, Address
from ..settings.load import Settings
from ..settings.logs import Layout, Level

LADDER_FROM: Final = 5  # seconds: the shortest block live (DESIGN.md section 4)


def _token(secret: SecretStr) -> SecretStr:
    """Return ``secret`` if it can be a bearer token; raise ``ValueError`` without showing it."""
    value = secret.get_secret_value()
    if value and (len(value) < 16 or not value.isascii() or not value.isprintable()):  # noqa: PLR2004 - characters
        message = "is not a token; use at least 16 printable ASCII characters"
        raise ValueError(message)
    if " " in value:
        message = "is not a token; it may hold no spaces"
        raise ValueError(message)
    return secret


def _rung(value: int) -> int:
    """Return ``value`` if it is a block length that is served live; raise ``ValueError``."""
    if value not in (5, 10, 30, 60):
        message = "is no block length; use 5, 10, 30 or 60 seconds"
        raise ValueError(message)
    return value


class AggregatorSettings(Settings):
    """What a person may set; times are seconds.

    ``scores`` are judged beside the mean, where a metric's row asks for them. ``http_token`` and
    ``http_listen`` are taken and checked, and used once DeploySignal is served.
    """

    listen: Address = SERVED
    http_listen: Address = "127.0.0.1:9461"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    http_token: Annotated[SecretStr, AfterValidator(_token)] = SecretStr("")
    state_dir: Path | None = None
    baseline: Path | None = None
    topology: Path | None = None
    metrics: Path | None = None
    scores: tuple[Score, ...] = BESIDE
    cluster: str = Field(default="cluster", min_length=1, max_length=200)
    q: float = Field(default=0.1, gt=0, lt=1)
    shortest: Annotated[int, AfterValidator(_rung)] = LADDER_FROM
    horizon: float = Field(default=604_800.0, ge=3600, le=31_536_000)
    expect_hosts: int = Field(default=0, ge=0, le=20_000)
    gather_seconds: float = Field(default=10.0, ge=0, le=3600)
    history_hours: float = Field(default=6.0, ge=0.1, le=8760)
    silent_after: float = Field(default=15.0, ge=1, le=3600)
    log_layout: Layout = "text"
    log_level: Level = "info"
