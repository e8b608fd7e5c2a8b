"""Fetch one page over HTTP: bounded in size and time, no redirect followed, no proxy asked.

Apart, because every exporter is read in this way and none of them may hold an agent up or send it
elsewhere.
"""

import http.client
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from socket import SHUT_RDWR
from threading import Event, Timer
from typing import Final
from urllib.parse import SplitResult, urlsplit

from .background import Unreachable

REFUSED, TIMEOUT, REDIRECTED = "refused", "timeout", "redirected"
TOO_LARGE, BROKEN = "too_large", "broken"
LARGEST: Final = 8 * 2**20  # bytes
_PIECE = 65536  # bytes read at once

Clock = Callable[[], float]


class BadUrl(ValueError):  # noqa: N818 - named for what it says
    """Refuse an address that cannot be fetched: ``url`` and ``what`` is wrong with it."""

    def __init__(self, url: str, what: str) -> None:
        """Keep the two facts."""
        super().__init__(url, what)
        self.url = url
        self.what = what

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.url!r} {self.what}; write it like http://127.0.0.1:9400/metrics"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a page is: ``host``, ``port`` and ``path``, over TLS where ``secure``."""

    host: str
    port: int
    path: str
    secure: bool = False


def address_of(url: str) -> Address:
    """Return the address that ``url`` (http or https) names; raise ``BadUrl``."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BadUrl(url, "holds characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl(url, "has no usable host or port") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadUrl(url, "is no http:// address of a host")
    if parts.username is not None:
        raise BadUrl(url, "holds a user: passwords do not belong into an address")
    secure = parts.scheme == "https"
    return Address(parts.hostname, port or (443 if secure else 80), _target(parts), secure)


def _target(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def fetch(address: Address, seconds: float, *, clock: Clock = time.monotonic) -> str:
    """Return the text at ``address``, within about ``seconds``.

    Raises ``Unreachable`` with a code: ``refused``, ``timeout``, ``redirected``, ``http_503``,
    ``too_large``, ``broken``.
    """
    place = f"{address.host}:{address.port}{address.path}"
    kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=seconds)
    until = clock() + seconds
    over = Event()
    end = Timer(seconds, _cut, [connection, over])  # of an answer whose head comes byte by byte
    end.daemon = True
    end.start()
    try:
        connection.request("GET", address.path, headers={"Accept": "text/plain"})
        with connection.getresponse() as answer:
            _refuse_late(place, over=over.is_set())
            _refuse(answer.status, place)
            return _body(answer, place, until, clock)
    except TimeoutError:
        raise Unreachable(TIMEOUT, f"{place} gave no answer within {seconds:g} s") from None
    except OSError as fault:
        _refuse_late(place, over=over.is_set())
        reason = fault.strerror or str(fault)
        raise Unreachable(REFUSED, f"{place} cannot be reached: {reason}") from None
    except http.client.HTTPException as fault:
        _refuse_late(place, over=over.is_set())
        told = f"{place} speaks no HTTP: {type(fault).__name__}"
        raise Unreachable(BROKEN, told) from None
    finally:
        end.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection, over: Event) -> None:
    over.set()
    with suppress(OSError, AttributeError):  # it may not be connected, or no longer
        connection.sock.shutdown(SHUT_RDWR)


def _refuse_late(place: str, *, over: bool) -> None:
    if over:
        raise Unreachable(TIMEOUT, f"{place} takes too long")


def _refuse(status: int, place: str) -> None:
    if status in {301, 302, 303, 307, 308}:
        raise Unreachable(REDIRECTED, f"{place} sends elsewhere: name the page itself")
    if status != http.client.OK:
        code = f"http_{status}"
        raise Unreachable(code, f"{place} answers {status}")


def _body(answer: http.client.HTTPResponse, place: str, until: float, clock: Clock) -> str:
    pieces, size = [], 0
    while piece := answer.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise Unreachable(TOO_LARGE, f"{place} gives more than {LARGEST} bytes")
        _refuse_late(place, over=clock() > until)
    _refuse_late(place, over=clock() > until)
    if answer.length:  # announced and not there
        raise Unreachable(BROKEN, f"{place} broke off in the midst of its answer")
    return b"".join(pieces).decode("utf-8", errors="replace")
