"""TLS material from files: checked at the start, read again when the files change.

Apart from the links that use it, because agents, aggregator and terminal must refuse bad files in
one voice, and because certificates are replaced while programs run.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from .certificate import NoCertificate, read_certificate
from .clock import Clock
from .logs import rfc3339

CA, CERT, KEY = "ca", "cert", "key"
EVERY: Final = 30.0  # seconds between two looks at the files
SOON: Final = 7 * 86_400.0  # seconds before its end from which on a certificate is told,
DAILY: Final = 86_400.0  # so often
READABLE_BY_ALL: Final = 0o004

_Stamp = tuple[tuple[int, int, int], ...]  # of each file: inode, size, nanosecond of its change


class BadTls(Exception):  # noqa: N818  named for what it says
    """TLS files that cannot be used; its text is one line: setting, file, what, what to do."""


@dataclass(frozen=True, slots=True)
class Pem:
    """What one end of a link believes and shows, in PEM form; empty = nothing.

    ``ends`` is the last Unix second of the certificate, infinite where there is none.
    """

    ca: bytes = b""
    cert: bytes = b""
    key: bytes = field(default=b"", repr=False)
    ends: float = float("inf")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the material lies; ``of`` is the setting that each file was named by."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    of: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files that there are."""
        return tuple(path for path in (self.ca, self.cert, self.key) if path is not None)

    def read(self, now: float) -> Pem:
        """Return what the files hold if it can be used at ``now``; raise ``BadTls``."""
        ca, cert, key = (self._bytes(part) for part in (CA, CERT, KEY))
        if ca:
            self._check_ca(ca)
        if not cert:
            return Pem(ca)
        try:
            read = read_certificate(cert)
        except NoCertificate as bad:
            raise self._bad(CERT, str(bad), "name a PEM file with the chain") from None
        if now > read.ends:
            raise self._bad(CERT, f"has expired at {rfc3339(read.ends)}", "renew it")
        if now < read.begins:
            what = f"is valid only from {rfc3339(read.begins)}"
            raise self._bad(CERT, what, "wait, or set this machine's clock")
        self._check_pair(self.cert)
        if (cert, key) != (self._bytes(CERT), self._bytes(KEY)):
            raise self._bad(CERT, "changed while it was read", "try again")
        return Pem(ca, cert, key, read.ends)

    def _bytes(self, part: str) -> bytes:
        path: Path | None = getattr(self, part)
        if path is None:
            return b""
        try:
            content = path.read_bytes()
        except OSError as fault:
            what = f"cannot be read: {(fault.strerror or 'an error').lower()}"
            raise self._bad(part, what, "name a PEM file that this user can read") from None
        if not content.strip():
            raise self._bad(part, "is empty", "write PEM into it")
        return content

    def _check_ca(self, ca: bytes) -> None:
        try:
            read_certificate(ca)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
                cadata=ca.decode("ascii", errors="replace")
            )
        except (NoCertificate, ValueError, ssl.SSLError):
            what = "holds no certificates in PEM form"
            raise self._bad(CA, what, "name a file of those that are believed") from None

    def _check_pair(self, cert: Path | None) -> None:
        """Refuse a key that is none, is locked, or belongs to another certificate."""
        if cert is None:
            return
        try:
            # A server's context takes any pair; the password is only there so that nobody is asked.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                cert, self.key, password=lambda: b""
            )
        except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError
            if getattr(fault, "reason", None) == "KEY_VALUES_MISMATCH":
                what = f"does not belong to the certificate in {cert}"
                raise self._bad(KEY, what, "name the two files of one pair") from None
            what = "is no key in PEM form that opens without a passphrase"
            raise self._bad(KEY, what, "name one that is") from None

    def _bad(self, part: str, what: str, todo: str) -> BadTls:
        return BadTls(f"{self.of.get(part, part)}: {getattr(self, part)} {what}; {todo}")


class Tls:
    """The newest material that could be used; any thread may ask.

    Files that are bad, or half replaced, change nothing: what was read before is used on, and the
    log says why.
    """

    def __init__(self, files: TlsFiles, clock: Clock, name: str = "", every: float = EVERY) -> None:
        """Take where files are; ``name`` is the one that the other end's certificate must have.

        "" leaves that to the address. ``every`` is seconds between two looks; :meth:`open` reads.
        """
        self.name, self.every = name, every
        self._files, self._clock = files, clock
        self._pem = Pem()
        self._stamp: _Stamp = ()
        self._told, self._told_end = "", -DAILY
        self._looked = 0.0  # monotonic seconds
        self._lock = Lock()
        self._log = structlog.get_logger()

    @property
    def pem(self) -> Pem:
        """Return the newest material that could be used."""
        return self._pem

    def open(self) -> None:
        """Read the files for the first time; raise ``BadTls``."""
        self._looked = self._clock.monotonic()
        self._stamp = self._stamped()
        self._pem = self._files.read(self._clock.now())
        self._tell_end()
        key = self._files.key
        if key is not None and key.stat().st_mode & READABLE_BY_ALL:
            self._log.warning("every user here can read the key", file=str(key))

    def refresh(self) -> bool:
        """Look at the files; return whether there is new material."""
        with self._lock:
            self._looked = self._clock.monotonic()
            self._tell_end()
            stamp = self._stamped()
            if stamp == self._stamp:
                return False
            try:
                pem = self._files.read(self._clock.now())
            except BadTls as bad:
                self._tell(str(bad))
                return False
            self._stamp, self._told = stamp, ""
            if pem == self._pem:
                return False
            self._pem = pem
            self._log.info("certificates read anew", files=[str(p) for p in self._files.paths])
            return True

    def newest(self) -> Pem:
        """Return the newest material, after a look at the files if the last was a while ago."""
        if self._clock.monotonic() - self._looked >= min(1.0, self.every):
            self.refresh()
        return self._pem

    def _stamped(self) -> _Stamp:
        stamps = []
        for path in self._files.paths:
            try:
                found = path.stat()
                stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)

    def _tell(self, why: str) -> None:
        """Log ``why`` the files are not used, unless that was said last."""
        if why != self._told:
            self._told = why
            self._log.warning("new certificates are not used", reason=why)

    def _tell_end(self) -> None:
        """Log, once a day, that the certificate in use ends soon or has ended."""
        left, now = self._pem.ends - self._clock.now(), self._clock.monotonic()
        if left < SOON and now - self._told_end >= DAILY:
            self._told_end = now
            words = "the certificate ends soon" if left > 0 else "the certificate has ended"
            self._log.warning(words, ends=rfc3339(self._pem.ends), file=str(self._files.cert))


def client_tls(
    ca: Path | None, cert: Path | None, key: Path | None, *, name: str, clock: Clock
) -> Tls | None:
    """Return what a client connects with, read and checked; None = plain text.

    ``ca`` switches TLS on; ``cert`` and ``key`` are shown to a server that asks. Raises ``BadTls``.
    """
    _paired(cert, key)
    if ca is None:
        if cert is not None or name:
            given = "tls_cert" if cert is not None else "tls_server_name"
            message = f"{given}: nothing says whom to believe; set tls_ca too, or leave it away"
            raise BadTls(message)
        return None
    files = TlsFiles(ca, cert, key, {CA: "tls_ca", CERT: "tls_cert", KEY: "tls_key"})
    made = Tls(files, clock, name, EVERY)
    made.open()
    return made


def server_tls(
    cert: Path | None, key: Path | None, client_ca: Path | None, clock: Clock
) -> Tls | None:
    """Return what a server is reached with, read and checked; None = plain text.

    With ``client_ca`` only clients with a certificate of it are served. Raises ``BadTls``.
    """
    _paired(cert, key)
    if cert is None:
        if client_ca is not None:
            message = "tls_client_ca: needs TLS; set tls_cert and tls_key too, or leave it away"
            raise BadTls(message)
        return None
    of = {CA: "tls_client_ca", CERT: "tls_cert", KEY: "tls_key"}
    made = Tls(TlsFiles(client_ca, cert, key, of), clock)
    made.open()
    return made


def _paired(cert: Path | None, key: Path | None) -> None:
    if (cert is None) != (key is None):
        alone, missing = ("tls_key", "tls_cert") if cert is None else ("tls_cert", "tls_key")
        message = f"{alone}: is set without {missing}; set both or none"
        raise BadTls(message)
