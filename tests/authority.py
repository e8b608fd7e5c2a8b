"""A small authority for tests: real certificates, made by openssl in a folder that goes again.

Apart, because files, links and programs are tested with the same kinds of good and bad ones.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl") or ""
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="no openssl here to make certificates with")
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """One authority; its certificate is ``ca``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        said = ("-subj", f"/CN={name}", "-days", "3650", "-keyout", str(self._key))
        _openssl("req", "-x509", *NEW_KEY, *said, "-out", str(self.ca))

    def issue(self, name: str, *, days: int = 30, at: str = "127.0.0.1") -> tuple[Path, Path]:
        """Return certificate and key for ``name`` at the IP ``at``; negative days have passed."""
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        asked, more = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        more.write_text(f"subjectAltName=DNS:{name},IP:{at}\n", encoding="ascii")
        subject = ("-subj", f"/O=Tessera tests/CN={name}")
        _openssl("req", *NEW_KEY, *subject, "-keyout", str(key), "-out", str(asked))
        signed = ("-CA", str(self.ca), "-CAkey", str(self._key), "-CAcreateserial")
        says = ("-days", str(days), "-extfile", str(more))
        _openssl("x509", "-req", "-in", str(asked), *signed, *says, "-out", str(cert))
        key.chmod(0o600)
        return cert, key


def _openssl(*words: str) -> None:
    subprocess.run([OPENSSL, *words], check=True, capture_output=True, timeout=60)  # noqa: S603  our own words


def lock(key: Path, passphrase: str) -> Path:
    """Return a copy of ``key`` that opens with ``passphrase`` only."""
    locked = key.with_suffix(".locked")
    _openssl(
        *("ec", "-in", str(key), "-aes128", "-passout", f"pass:{passphrase}", "-out", str(locked))
    )
    return locked
