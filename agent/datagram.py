"""Parse what local programs tell the agent: one JSON object or one statsd metric a line.

Apart from the socket, because whoever may log in here may write to it: every byte is read by these
pure functions, which raise nothing but their own error.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias, cast, get_args

from ..adapters.base import EventKind

LARGEST: Final = 8192  # bytes of a datagram
MOST_LINES: Final = 100  # of a datagram
MOST_DEVICES: Final = 64
LONGEST_NAME: Final = 64  # characters of a metric
LONGEST_TEXT: Final = 200  # characters of a device, a job, a detail
LONGEST_PAUSE: Final = 86_400.0  # seconds
LONGEST_RANK: Final = 9  # digits
KINDS: Final = get_args(EventKind)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_STATSD = re.compile(
    r"(?P<name>[^:|@#]+):(?P<value>[^:|@#]+)\|(?P<type>[a-z]+)"
    r"(?:\|@(?P<share>[^|#]+))?(?:\|#(?P<tags>[^|]*))?"
)
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,3})?")
# A timer without a unit in its name is one in seconds, which is what its value is made to be.
_OF_SECONDS = ("_seconds", "_time", "_duration", "_latency")
_PER_MILLISECOND: Final = {"_ms": 1.0, "_us": 1e3, "_ns": 1e6}


class BadDatagram(Exception):  # noqa: N818 - named for what it says
    """A line that says nothing; its text is one line and repeats at most 40 characters of it."""


@dataclass(frozen=True, slots=True)
class Push:
    """One ``value`` of ``metric`` of the device on which the program runs.

    ``device`` is a vendor's id, or a number counted in ``among`` ((), in all of the host's); "" =
    not told. ``rank`` is the program's among its job's. ``added`` values are increments, others
    stand for themselves.
    """

    metric: str
    value: float
    device: str = ""
    among: tuple[str, ...] = ()
    rank: int | None = None
    added: bool = False


@dataclass(frozen=True, slots=True)
class JobNote:
    """``job`` has begun on ``devices`` or, if it is ``over``, has ended there ((), all of them)."""

    job: str
    devices: tuple[str, ...] = ()
    over: bool = False


@dataclass(frozen=True, slots=True)
class EventNote:
    """Something was done to ``devices`` ((), the host) at ``at`` Unix seconds (None = now)."""

    kind: EventKind
    detail: str
    devices: tuple[str, ...] = ()
    at: float | None = None


@dataclass(frozen=True, slots=True)
class PauseNote:
    """Counters that need a device's profiler are to be left alone for ``seconds``, 0 = no more."""

    seconds: float


Note: TypeAlias = Push | JobNote | EventNote | PauseNote


def is_metric(name: str) -> bool:
    """Say whether a metric that is pushed may have this ``name``."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def lines(datagram: bytes) -> Iterator[str]:
    """Yield the lines of ``datagram`` that are not empty; raise ``BadDatagram`` if it is none."""
    if len(datagram) > LARGEST:
        message = f"has more than {LARGEST} bytes; send fewer values at once"
        raise BadDatagram(message)
    try:
        text = datagram.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        message = "is not UTF-8 text; send JSON or statsd lines"
        raise BadDatagram(message) from None
    found = [line.strip() for line in text.split("\n")]
    found = [line for line in found if line]
    if not found or len(found) > MOST_LINES:
        message = f"has {len(found)} lines; send 1 to {MOST_LINES}"
        raise BadDatagram(message)
    yield from found


def parse(line: str) -> Note:
    """Return what ``line`` says; raise ``BadDatagram``."""
    return _object(line) if line.startswith("{") else _statsd(line)


def _statsd(line: str) -> Push:
    found = _STATSD.fullmatch(line)
    if found is None:
        _refuse(line, "is neither JSON nor statsd; write name:value|g")
    name, said = found["name"], found["value"]
    value = _number(said)
    tags = _tags(found["tags"] or "")
    match found["type"]:
        case "g" if not said.startswith(("+", "-")):
            push = Push(_metric(name), value)
        case "ms":
            push = _timed(_metric(name), value)
        case "c" if value >= 0:
            push = Push(_metric(name), value / _share(found["share"] or "1"), added=True)
        case _:
            _refuse(line, "is of a type or sign that is not taken; send |g, |ms or |c, not below 0")
    rank = _whole(tags["rank"]) if "rank" in tags else None
    device = _text(tags.get("device", tags.get("local_rank", "")))
    return Push(push.metric, push.value, device, (), rank, push.added)


def _tags(text: str) -> dict[str, str]:
    parts = (tag.partition(":") for tag in text.split(","))
    return {key: value for key, _, value in parts}


def _timed(name: str, milliseconds: float) -> Push:
    """Return a timer's value in the unit that its name asks for, seconds if it asks for none."""
    for suffix, factor in _PER_MILLISECOND.items():
        if name.endswith(suffix):
            return Push(name, milliseconds * factor)
    called = name if name.endswith(_OF_SECONDS) else _metric(name + "_seconds")
    return Push(called, milliseconds / 1e3)


def _share(text: str) -> float:
    """Return the share of increments that were sent, in (0, 1]."""
    share = _number(text)
    if not 0 < share <= 1:
        _refuse(text, "is no share of values that are sent; write one in (0, 1]")
    return share


def _object(line: str) -> Note:
    try:
        found = json.loads(line, parse_constant=_constant)
    except (ValueError, RecursionError):
        _refuse(line, "is not JSON; send one object a line")
    if not isinstance(found, dict):
        _refuse(line, "is no JSON object; send one a line")
    told = cast("dict[str, object]", found)
    for key, read in (("metric", _push), ("job", _job), ("event", _event)):
        if key in told:
            return read(told)
    if "pause_profiling" not in told:
        _refuse(line, "says nothing known; give metric, job, event or pause_profiling")
    seconds = _real(told["pause_profiling"])
    if not 0 <= seconds <= LONGEST_PAUSE:
        _refuse(str(seconds), f"is no pause; write 0 to {LONGEST_PAUSE:g} seconds")
    return PauseNote(seconds)


def _push(told: dict[str, object]) -> Push:
    rank = told.get("rank")
    return Push(
        metric=_metric(_text(told["metric"])),
        value=_real(told.get("value")),
        device=_device(told.get("device", "")),
        among=_texts(told.get("among", [])),
        rank=None if rank is None else _whole(_device(rank)),
    )


def _job(told: dict[str, object]) -> JobNote:
    state, job = told.get("state"), _text(told["job"])
    if state not in ("start", "stop") or not job:
        _refuse(job, "is no job that begins or ends; name one, and its state start or stop")
    return JobNote(job, _texts(told.get("devices", [])), over=state == "stop")


def _event(told: dict[str, object]) -> EventNote:
    kind, at = told["event"], told.get("at")
    if kind not in KINDS:
        said = kind if isinstance(kind, str) else type(kind).__name__
        _refuse(said, f"is no kind of event; write one of {', '.join(KINDS)}")
    return EventNote(
        cast("EventKind", kind),
        _text(told.get("detail", "")),
        _texts(told.get("devices", [])),
        None if at is None else _real(at),
    )


def _metric(name: str) -> str:
    if not is_metric(name):
        _refuse(name, f"is no metric; write a-z, 0-9 and _, at most {LONGEST_NAME} characters")
    return name


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or len(found) > MOST_DEVICES:
        _refuse(type(found).__name__, f"is no list of at most {MOST_DEVICES} devices")
    return tuple(_device(one) for one in cast("list[object]", found))


def _device(found: object) -> str:
    number = isinstance(found, int) and not isinstance(found, bool)
    return _text(str(found) if number else found)


def _text(found: object) -> str:
    if not isinstance(found, str) or len(found) > LONGEST_TEXT or not found.isprintable():
        said = found if isinstance(found, str) else type(found).__name__
        _refuse(said, f"is no printable text of at most {LONGEST_TEXT} characters")
    return found


def _real(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        _refuse(type(found).__name__, "is not a number")
    try:
        value = float(found)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        _refuse(str(value), "is not a finite number")
    return value


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) and text.isascii() else math.inf
    if not math.isfinite(value):
        _refuse(text, "is not a finite number")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_RANK):
        _refuse(text, f"is no rank; write a number of at most {LONGEST_RANK} digits")
    return int(text)


def _constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and infinities are no JSON


def _refuse(what: str, why: str) -> NoReturn:
    message = f"{what[:40]!r} {why}"
    raise BadDatagram(message)
