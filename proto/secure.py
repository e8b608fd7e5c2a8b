"""Channels and servers with TLS, who is at the other end, and why a handshake failed, in words.

Apart from the programs, because agent and terminal connect in the same way and meet the same
refusals; apart from the files, which need no gRPC to be checked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import grpc
import grpc.aio

Options = Sequence[tuple[str, str | int]]

REFUSED: Final = (
    "the aggregator closed the connection: it wants a certificate (tls_cert) of an authority that"
    " it believes, or speaks no TLS"
)
PLAIN: Final = "the aggregator closed the connection: if it wants TLS, set tls_ca"
NO_TLS: Final = (
    "the aggregator speaks no TLS there: leave tls_ca away, or give it tls_cert and tls_key"
)
OTHER_NAME: Final = (
    "the aggregator's certificate is of another name: set tls_server_name to one that it has"
)


class Material(Protocol):
    """What one end believes and shows, in PEM form; empty = nothing."""

    @property
    def ca(self) -> bytes:
        """The authorities that sign the other end's certificate."""
        ...

    @property
    def cert(self) -> bytes:
        """The own certificate, with those up to the authority."""
        ...

    @property
    def key(self) -> bytes:
        """Its private key."""
        ...


def open_channel(
    target: str, options: Options, material: Material | None = None, name: str = ""
) -> grpc.aio.Channel:
    """Return a channel to ``target``, in plain text without ``material``.

    ``name``, if there is one, is that which the server's certificate must have.
    """
    if material is None:
        return grpc.aio.insecure_channel(target, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=material.ca,
        private_key=material.key or None,
        certificate_chain=material.cert or None,
    )
    named = (("grpc.ssl_target_name_override", name),) if name else ()
    return grpc.aio.secure_channel(target, credentials, options=(*options, *named))


def server_credentials(newest: Callable[[], Material]) -> grpc.ServerCredentials:
    """Return credentials that ask ``newest``, from gRPC's threads, at each handshake.

    With a ``ca`` clients without a certificate of it are refused, from the first handshake on.
    """
    last = newest()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal last
        now = newest()
        if now == last:
            return None  # go on with the same
        last = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(last),
        fetch,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # None is allowed, says gRPC's documentation
        require_client_authentication=bool(last.ca),
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.cert)], root_certificates=material.ca or None
    )


def verified_name(about: Mapping[str, Iterable[bytes]]) -> str:
    """Return whom a verified certificate names, from a call's ``auth_context``; "" = nobody."""
    for key in ("x509_common_name", "x509_subject_alternative_name"):
        for name in about.get(key, ()):
            if name:
                return name.decode("utf-8", errors="replace")
    return ""


def why_no_handshake(details: str, *, secure: bool) -> str:
    """Return in words why no link came about, "" where gRPC's ``details`` tell of no handshake.

    ``secure`` says whether TLS was spoken.
    """
    if "CERTIFICATE_VERIFY_FAILED" in details:
        why = details.partition("CERTIFICATE_VERIFY_FAILED: ")[2].removesuffix(": OK")
        if "expired" in why or "not yet valid" in why:
            return f"the aggregator's certificate is not valid now: {why}"
        return f"the aggregator's certificate is of no authority in tls_ca: {why or 'not verified'}"
    if "Hostname Verification" in details:
        return OTHER_NAME
    if "WRONG_VERSION_NUMBER" in details:
        return NO_TLS
    if "Socket closed" in details:
        return REFUSED if secure else PLAIN
    return ""
