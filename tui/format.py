"""Numbers, times and evidence in the words of a screen.

Apart from widgets, because the plain summary says them too, and because words can be tested alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from math import floor, isfinite, isnan, log

import numpy as np

from .view import Float32s, Floats

FIRST_DATE = 946_684_800.0  # year 2000: smaller times are those of a recording that starts at zero
MINUTE, HOUR, DAY = 60, 3600, 86_400
BLOCKS = "▁▂▃▄▅▆▇█"
NOTHING = "–"
_PLAIN = str.maketrans(
    {
        "–": "-", "−": "-", "—": "-", "…": "...", "’": "'",  # noqa: RUF001  these very characters
        "≤": "<=", "≥": ">=", "·": ".", "×": "x", "≈": "~", "›": ">",  # noqa: RUF001  as above
        "°": "", "²": "^2", "³": "^3", "½": "1/2", "¼": "1/4",
        "κ": "kappa", "φ": "phi", "δ": "delta", "τ": "tau",
        **{bar: str(step) for step, bar in enumerate(BLOCKS, 1)},
    }
)  # fmt: skip


def plain(text: str) -> str:
    """Return ``text`` in ASCII; what has no plain spelling becomes a question mark."""
    return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")


def number(value: float) -> str:
    """Return a count with its thousands apart: ``1,313``."""
    return f"{value:,.0f}"


def counted(value: int, word: str) -> str:
    """Return ``1 rack``, ``2 racks``."""
    return f"{number(value)} {word}" + ("" if value == 1 else "s")


def percent(share: float) -> str:
    """Return a share in (0, 1] as ``10 %``."""
    return f"{100 * share:.3g} %"


def evidence(log_e: float) -> str:
    """Return ``log_e`` nats as a power of ten rounded down, ``10^5.1``; NaN as a dash."""
    if isnan(log_e):
        return NOTHING
    if not isfinite(log_e):
        return "0" if log_e < 0 else "infinite"
    return f"10^{floor(log_e / log(10) * 10) / 10:.1f}"


def bound(value: float, otherwise: str) -> str:
    """Return one end of a band with its sign, or ``otherwise`` where there is none yet."""
    return f"{value:+.3g}" if isfinite(value) else otherwise


def age(seconds: float) -> str:
    """Return how long, in one or two units: ``0.4 s``, ``34 s``, ``18 min``, ``3 h 20 min``."""
    if isnan(seconds):
        return NOTHING
    if seconds < 9.95:  # noqa: PLR2004  above it would read 10.0
        return f"{max(0.0, seconds):.1f} s"
    whole = floor(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _two(whole // DAY, "d", whole % DAY // HOUR, "h")


def moment(at: float, now: float, zone: tzinfo | None) -> str:
    """Return local ``14:02``, with the date when ``now`` is another day; a short time as elapsed.

    ``zone`` None is the machine's.
    """
    if isnan(at):
        return NOTHING
    if at < FIRST_DATE:
        return str(timedelta(seconds=floor(at)))
    there = _local(at, zone)
    same = not isnan(now) and there.date() == _local(now, zone).date()
    return there.strftime("%H:%M" if same else "%m-%d %H:%M")


def full_moment(at: float, zone: tzinfo | None) -> str:
    """Return local ``2026-11-23 14:02:10 +01:00``; a short time as elapsed."""
    if isnan(at):
        return NOTHING
    if at < FIRST_DATE:
        return f"{timedelta(seconds=floor(at))} of the recording"
    return _local(at, zone).isoformat(sep=" ", timespec="seconds")[:19] + f" {offset(at, zone)}"


def offset(at: float, zone: tzinfo | None) -> str:
    """Return the zone of ``moment``'s times as ``+01:00``, or nothing for elapsed ones."""
    if isnan(at) or at < FIRST_DATE:
        return ""
    sign = _local(at, zone).strftime("%z")
    return f"{sign[:3]}:{sign[3:5]}"


def sparkline(values: Float32s | Floats, width: int) -> str:
    """Return the means of ``values`` in ``width`` stretches as blocks from least to most.

    A stretch without a finite value is a space; values that are all equal are the lowest block.
    """
    if not values.size or width < 1:
        return ""
    stretches = np.array_split(values.astype(np.float64), min(width, values.size))
    means = np.array([_mean(stretch[np.isfinite(stretch)]) for stretch in stretches])
    known = means[np.isfinite(means)]
    if not known.size:
        return " " * means.size
    span = float(np.ptp(known)) or 1.0
    return "".join(_block((mean - known.min()) / span) for mean in means)


def joined(words: Sequence[str], most: int = 3) -> str:
    """Return the first ``most`` words with commas, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _block(share: float) -> str:
    return " " if isnan(share) else BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]


def _local(at: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC).astimezone(zone)


def _two(large: int, large_word: str, small: int, small_word: str) -> str:
    return f"{large} {large_word}" + (f" {small} {small_word}" if small else "")
