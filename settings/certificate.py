"""Read from a certificate whom it names and until when it may be used.

Apart, because the standard library verifies certificates and tells nothing of one that is one's
own: an agent must say in time that its certificate ends, and refuse one that has ended.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

UTC_TIME, GENERALIZED_TIME, VERSION = 0x17, 0x18, 0xA0  # tags of ASN.1
COMMON_NAME: Final = bytes((0x55, 0x04, 0x03))  # 2.5.4.3
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_LONG: Final = 0x80  # a length of that or more tells how many bytes the length itself has


class NoCertificate(ValueError):  # noqa: N818  named for what it says
    """Bytes that hold no certificate."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whom a certificate names ("" = by other names only), and its first and last Unix second."""

    name: str
    begins: float
    ends: float


def read_certificate(pem: bytes) -> Certificate:
    """Return what the first certificate in ``pem`` says; raise ``NoCertificate``."""
    try:
        text = pem.decode("ascii")
        start = text.index(_BEGIN)
        one = text[start : text.index(_END, start) + len(_END)]
        return _certificate(ssl.PEM_cert_to_DER_cert(one))
    except (ValueError, IndexError, StopIteration):
        message = "holds no certificate in PEM form"
        raise NoCertificate(message) from None


def _certificate(der: bytes) -> Certificate:
    """Walk to validity and subject: RFC 5280, section 4.1."""
    fields = _items(next(_items(next(_items(der))[1]))[1])
    tag, _ = next(fields)
    if tag == VERSION:  # the serial number comes after it
        next(fields)
    next(fields)  # signature algorithm
    next(fields)  # issuer
    validity, subject = next(fields)[1], next(fields)[1]
    begins, ends = (_time(*item) for item in _items(validity))
    return Certificate(_common_name(subject), begins, ends)


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each item of ``der``; raise ``ValueError`` where it is cut off."""
    while der:
        tag, size, start = der[0], der[1], 2
        if size >= _LONG:
            start += size - _LONG
            size = int.from_bytes(der[2:start])
        if start + size > len(der):
            message = "cut off"
            raise ValueError(message)
        yield tag, der[start : start + size]
        der = der[start + size :]


def _time(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == UTC_TIME:  # two digits of the year: 50 is 1950
        text = ("19" if text >= "50" else "20") + text
    elif tag != GENERALIZED_TIME:
        message = "no time"
        raise ValueError(message)
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _common_name(subject: bytes) -> str:
    for _, several in _items(subject):
        for _, one in _items(several):
            (_, oid), (_, value) = _items(one)
            if oid == COMMON_NAME:
                return value.decode("utf-8", errors="replace")
    return ""
