from datetime import UTC, datetime
from pathlib import Path

import pytest

from tessera.settings.certificate import NoCertificate, read_certificate

from ..authority import Authority, needs_openssl

DAY = 86_400.0


@needs_openssl
def test_a_certificate_tells_whom_it_names_and_how_long_it_is_valid(tmp_path: Path) -> None:
    cert, _ = Authority(tmp_path).issue("host-7", days=30)
    read = read_certificate(cert.read_bytes())
    assert read.name == "host-7"
    assert read.ends - read.begins == 30 * DAY
    assert abs(read.begins - datetime.now(UTC).timestamp()) < DAY


@needs_openssl
def test_a_time_beyond_2049_is_read(tmp_path: Path) -> None:
    cert, _ = Authority(tmp_path).issue("host-7", days=40 * 365)
    read = read_certificate(cert.read_bytes())
    assert read.ends - read.begins == 40 * 365 * DAY


@needs_openssl
def test_of_a_chain_the_first_certificate_counts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, _ = authority.issue("host-7")
    chain = cert.read_bytes() + authority.ca.read_bytes()
    assert read_certificate(chain).name == "host-7"


@needs_openssl
def test_every_cut_of_a_certificate_is_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    cert, _ = Authority(tmp_path).issue("host-7")
    pem = cert.read_bytes()
    for length in range(0, len(pem) - 30, 7):
        with pytest.raises(NoCertificate):
            read_certificate(pem[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(NoCertificate):
        read_certificate(content)
