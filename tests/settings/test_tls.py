import os
import shutil
from pathlib import Path
from time import time

import pytest
from structlog.testing import capture_logs

from tessera.settings.clock import ManualClock
from tessera.settings.tls import BadTls, Tls, TlsFiles, client_tls, server_tls

from ..authority import Authority, lock, needs_openssl

pytestmark = needs_openssl
DAY = 86_400.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time() + 60.0)  # openssl signs from now on


def refused(files: TlsFiles, clock: ManualClock) -> str:
    with pytest.raises(BadTls) as caught:
        Tls(files, clock).open()
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_pair_and_its_authority_are_read(authority: Authority, clock: ManualClock) -> None:
    cert, key = authority.issue("host-7")
    tls = client_tls(authority.ca, cert, key, name="there", clock=clock)
    assert tls is not None
    assert (tls.pem.ca, tls.pem.cert) == (authority.ca.read_bytes(), cert.read_bytes())
    assert tls.pem.key == key.read_bytes()
    assert tls.name == "there"
    assert repr(tls.pem).find("PRIVATE") == -1


def test_nothing_set_is_plain_text(clock: ManualClock) -> None:
    assert client_tls(None, None, None, name="", clock=clock) is None
    assert server_tls(None, None, None, clock) is None


def test_what_is_half_set_is_refused(clock: ManualClock) -> None:
    one = Path("a.pem")
    with pytest.raises(BadTls, match=r"^tls_cert: is set without tls_key"):
        client_tls(one, one, None, name="", clock=clock)
    with pytest.raises(BadTls, match=r"^tls_key: is set without tls_cert"):
        server_tls(None, one, one, clock)
    with pytest.raises(BadTls, match=r"^tls_cert: nothing says whom to believe; set tls_ca"):
        client_tls(None, one, one, name="", clock=clock)
    with pytest.raises(BadTls, match=r"^tls_server_name: nothing says whom to believe"):
        client_tls(None, None, None, name="there", clock=clock)
    with pytest.raises(BadTls, match=r"^tls_client_ca: needs TLS"):
        server_tls(None, None, one, clock)


def test_a_missing_file_is_told_with_its_setting(
    authority: Authority, tmp_path: Path, clock: ManualClock
) -> None:
    cert, _ = authority.issue("host-7")
    with pytest.raises(BadTls) as caught:
        server_tls(cert, tmp_path / "gone.key", None, clock)
    assert str(caught.value) == (
        f"tls_key: {tmp_path}/gone.key cannot be read: no such file or directory; "
        "name a PEM file that this user can read"
    )


def test_a_key_of_another_certificate_is_told(authority: Authority, clock: ManualClock) -> None:
    cert, _ = authority.issue("host-7")
    _, other = authority.issue("host-8")
    said = refused(TlsFiles(None, cert, other), clock)
    assert f"{other} does not belong to the certificate in {cert}" in said


def test_a_key_with_a_passphrase_is_told_and_nobody_is_asked(
    authority: Authority, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7")
    said = refused(TlsFiles(None, cert, lock(key, "secret")), clock)
    assert "opens without a passphrase" in said


@pytest.mark.parametrize("content", ["", "hello\n"])
def test_files_that_hold_something_else_are_told(
    authority: Authority, tmp_path: Path, clock: ManualClock, content: str
) -> None:
    cert, key = authority.issue("host-7")
    junk = tmp_path / "junk"
    junk.write_text(content, encoding="ascii")
    for files in (TlsFiles(junk), TlsFiles(None, junk, key), TlsFiles(None, cert, junk)):
        said = refused(files, clock)
        assert str(junk) in said
        assert "PEM" in said


def test_a_certificate_that_has_expired_or_is_not_valid_yet_is_told(
    authority: Authority, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7", days=30)
    clock.step(31 * DAY)
    assert "has expired at 20" in refused(TlsFiles(None, cert, key), clock)
    clock.step(-33 * DAY)
    assert "is valid only from 20" in refused(TlsFiles(None, cert, key), clock)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_key_that_this_user_may_not_read_is_told(
    authority: Authority, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7")
    key.chmod(0)
    assert "permission denied" in refused(TlsFiles(None, cert, key), clock)


def test_a_key_that_everybody_can_read_is_warned_of(
    authority: Authority, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7")
    with capture_logs() as logs:
        Tls(TlsFiles(None, cert, key), clock).open()
        key.chmod(0o644)
        Tls(TlsFiles(None, cert, key), clock).open()
    assert [line["file"] for line in logs] == [str(key)]


def test_replaced_files_are_new_material_once(authority: Authority, clock: ManualClock) -> None:
    cert, key = authority.issue("host-7")
    tls = server_tls(cert, key, None, clock)
    assert tls is not None
    assert not tls.refresh()
    before = tls.pem
    authority.issue("host-7", days=60)
    assert tls.refresh()
    assert tls.pem != before
    assert tls.pem.cert == cert.read_bytes()
    assert not tls.refresh()


def test_a_folder_that_is_swapped_by_a_link_is_new_material(
    authority: Authority, tmp_path: Path, clock: ManualClock
) -> None:
    """As an orchestrator mounts a secret."""
    cert, key = authority.issue("host-7")
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        shutil.copy(cert, folder / "tls.crt")
        shutil.copy(key, folder / "tls.key")
        cert, key = authority.issue("host-7", days=60)
    data = tmp_path / "data"
    data.symlink_to(folders[0])
    tls = server_tls(data / "tls.crt", data / "tls.key", None, clock)
    assert tls is not None
    swapped = tmp_path / "data.new"
    swapped.symlink_to(folders[1])
    swapped.rename(data)
    assert tls.refresh()
    assert tls.pem.cert == (folders[1] / "tls.crt").read_bytes()


def test_half_a_replacement_changes_nothing_until_the_other_half_comes(
    authority: Authority, tmp_path: Path, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7")
    tls = server_tls(cert, key, None, clock)
    assert tls is not None
    before = tls.pem
    new_cert, new_key = Authority(tmp_path / "new").issue("host-7")
    shutil.copy(new_cert, cert)
    with capture_logs() as logs:
        assert not tls.refresh()
        assert not tls.refresh()
    assert tls.pem == before
    assert [line["event"] for line in logs] == ["new certificates are not used"]
    shutil.copy(new_key, key)
    assert tls.refresh()
    assert tls.pem.key == new_key.read_bytes()


def test_files_are_looked_at_again_after_a_second_at_most(
    authority: Authority, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7")
    tls = server_tls(cert, key, None, clock)
    assert tls is not None
    before = tls.newest()
    authority.issue("host-7", days=60)
    assert tls.newest() == before
    clock.advance(1.0)
    assert tls.newest().cert == cert.read_bytes() != before.cert


def test_a_certificate_that_ends_soon_is_told_once_a_day(
    authority: Authority, clock: ManualClock
) -> None:
    cert, key = authority.issue("host-7", days=30)
    tls = server_tls(cert, key, None, clock)
    assert tls is not None
    said = []
    clock.advance(DAY / 2)
    for _ in range(31):
        clock.advance(DAY)
        with capture_logs() as logs:
            tls.refresh()
            tls.refresh()
        said += [line["event"] for line in logs]
    assert said == ["the certificate ends soon"] * 7 + ["the certificate has ended"] * 2
