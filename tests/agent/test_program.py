"""`tessera-agent` as a process: what a person sees, and what is left behind."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tessera.adapters.base import SourceUnavailable
from tessera.adapters.nvidia.fake_exporter import FakeExporter, FakeGpu
from tessera.adapters.recording_read import read_recording
from tessera.adapters.sources import detect
from tessera.agent.__main__ import _live
from tessera.agent.assembly import BadStart
from tessera.agent.config import AgentSettings
from tessera.agent.datagram import EventNote
from tessera.agent.mailbox import Mailbox
from tessera.agent.runtime import Agent
from tessera.settings.clock import ManualClock
from tessera.settings.folder import BadFolder
from tessera.settings.notify import Notify
from tessera.settings.refused import Refused

from ..authority import Authority, needs_openssl

PATIENCE = 30.0  # seconds after which a process that should have ended has failed
SYNTHETIC = ("--source", "synthetic")


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nothing of the machine's own counts."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TESSERA_")}
    return kept | {"TESSERA_STATE_DIR": str(folder), "TESSERA_AGENT_HTTP": "127.0.0.1:0"} | more


def run(folder: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-m", "tessera.agent", *options],
        env=environ(folder, **more),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_host_without_an_accelerator_says_so_in_one_line_and_ends_with_3(
    tmp_path: Path,
) -> None:
    if detect().sources:
        pytest.skip("this machine has an accelerator")
    done = run(tmp_path)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tessera-agent: no accelerator to read: nvml")
    assert list(tmp_path.iterdir()) == []


def test_an_exporter_that_is_named_is_checked(tmp_path: Path) -> None:
    shown = FakeGpu("GPU-0", values={155: 312.5, 150: 9223372036854775794.0})
    with FakeExporter([shown]) as exporter:
        done = run(tmp_path, "check", "--source", "dcgm", "--dcgm-url", exporter.url)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["dcgm", "GPU-0", "power_watts", "312.5", "W"] in rows
    assert ["dcgm", "GPU-0", "temperature_celsius", "error:", "impossible"] in rows


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--nonsense",), "No such option '--nonsense'"),
        (("event",), "Missing argument"),
        (("event", "party"), "'party' is not one of"),
        (("event", "env_change"), "agent.sock; start it, or name its --socket"),
        (("event", "env_change", "--socket", ""), "no agent listens at no socket"),
        (("--aggregator", "x"), "tessera-agent: --aggregator: is not HOST:PORT"),
        (("--host", "a\nb", *SYNTHETIC), "--host: is not printable"),
        (("--budget", "nan", *SYNTHETIC), "--budget: is not a number"),
        (("--config", "absent.toml"), "absent.toml: no such file or directory"),
        (("--source", "nvlm"), "did you mean 'nvml'?"),
        (("--source", "recording"), "source 'recording' has no folder to play"),
        (("--source", "recording", "--recording", "absent"), "absent"),
        (("--recording", "absent"), "add --source recording"),
        (("--source", "dcgm", "--dcgm-url", "9400"), "'9400' is no http:// address of a host"),
        (("--dcgm-interval", "0"), "--dcgm-interval"),
        (("--source", "tpu", "--tpu-ports", "8431;8432"), "'8431;8432' is no list of ports"),
        ((*SYNTHETIC, "--beneath", "rack-77"), "there is no node 'rack-77'"),
        (("--tls-ca", "gone.pem", *SYNTHETIC), "tessera-agent: tls_ca: gone.pem cannot be read"),
        (("--check-config", "--tls-cert", "a.pem"), "tls_cert: is set without tls_key; set both"),
        (("record",), "Missing argument 'DIR'"),
        (("record", ".", *SYNTHETIC, "--seconds", "0"), "--seconds"),
        (("--check-config", "--baseline", "nowhere"), "nowhere"),
        (("--check-config", "--xid-classes", "absent.toml"), "absent.toml: cannot be read"),
        (("--xid-classes", "absent.toml"), "absent.toml: cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, *options)
    assert said in done.stderr
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_settings_are_checked_without_starting(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('job = "train"\n', encoding="utf-8")
    done = run(tmp_path, "--config", str(file), "--check-config", TESSERA_ROLE="worker")
    assert done.returncode == 0
    told = done.stdout.splitlines()
    assert [line for line in told if line.startswith(("job =", "role =", "sku ="))] == [
        *('job = "train"', 'role = "worker"', 'sku = ""  # default'),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


@needs_openssl
def test_a_key_that_everybody_can_read_is_warned_of_beside_the_settings(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("host-7")
    key.chmod(0o644)
    files = ("--tls-ca", str(authority.ca), "--tls-cert", str(cert), "--tls-key", str(key))
    done = run(tmp_path, "--check-config", *files)
    assert done.returncode == 0
    assert "every user here can read the key" in done.stderr
    assert tomllib.loads(done.stdout)["tls_key"] == str(key)


@pytest.mark.parametrize("before", [(), ("--job", "x")])
def test_check_shows_what_is_readable(tmp_path: Path, before: tuple[str, ...]) -> None:
    done = run(tmp_path, *before, "check", *SYNTHETIC)
    assert (done.returncode, done.stderr) == (0, "")
    assert "power_watts" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_check_ends_with_0_where_nothing_is_readable(tmp_path: Path) -> None:
    done = run(tmp_path, "check")
    assert done.returncode == 0
    assert "nvml" in done.stdout


def test_a_recording_of_two_seconds_can_be_read_and_is_not_overwritten(tmp_path: Path) -> None:
    done = run(tmp_path, "record", "rec", *SYNTHETIC, "--seconds", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read_recording(tmp_path / "rec").times) == 2
    again = run(tmp_path, "record", "rec", *SYNTHETIC, "--seconds", "2")
    assert again.returncode == 2
    assert "nothing is overwritten" in again.stderr


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    made = Mailbox(tmp_path / "agent" / "agent.sock")
    made.open()
    yield made
    made.close()


def test_an_event_that_is_declared_is_heard_by_the_agent(tmp_path: Path, box: Mailbox) -> None:
    words = ("config_change", "--detail", "fans to full", "--scope", "3", "--at", str(time.time()))
    done = run(tmp_path, "event", *words)
    assert (done.returncode, done.stderr) == (0, "")
    since = time.monotonic()
    while not (heard := box.take()):
        assert time.monotonic() < since + PATIENCE
        time.sleep(0.01)
    (note,) = heard
    assert isinstance(note, EventNote)
    assert (note.kind, note.detail, note.devices) == ("config_change", "fans to full", ("3",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "5"), "more than an hour ago"),
        (("--detail", "a\nb"), "is no printable text"),
        (("--detail", "x" * 300), "at most 200 characters"),
    ],
)
@pytest.mark.usefixtures("box")
def test_an_event_that_would_not_be_taken_is_refused_in_one_line(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, "event", "config_change", *words)
    assert said in done.stderr
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_state_dir_that_cannot_be_written_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run(tmp_path, *SYNTHETIC, "--state-dir", "file")
    assert done.returncode == 2
    assert done.stderr.startswith("tessera-agent: file/agent: not a directory; make it writable")
    assert done.stderr.count("\n") == 1


def test_a_signal_ends_the_daemon_and_leaves_no_half_written_file(tmp_path: Path) -> None:
    daemon = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", "tessera.agent", *SYNTHETIC, "--aggregator", "127.0.0.1:1"],
        env=environ(tmp_path),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        folder, end = tmp_path / "agent", time.monotonic() + PATIENCE
        while not list(folder.glob("checkpoint-*")) and time.monotonic() < end:
            time.sleep(0.05)
        daemon.send_signal(signal.SIGTERM)
        _, told = daemon.communicate(timeout=PATIENCE)
    finally:
        daemon.kill()
    assert daemon.returncode == 0
    assert "agent started" in told
    names = {path.name.split("-")[0] for path in folder.iterdir()}
    assert names == {"checkpoint", "journal", "inventory", "lock", "spool"}


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (SourceUnavailable("nvml", "the driver is not loaded"), 3),
        (BadFolder("state: no space left on device", full=True), 5),
        (BadFolder("state: not a directory"), 2),
        (BadStart("nothing"), 2),
    ],
)
async def test_a_start_that_may_do_later_is_told_from_one_that_needs_a_person(
    bad: Exception, status: int
) -> None:
    class Unable(Agent):
        async def start(self) -> None:
            raise bad

        async def stop(self) -> None:
            """Stop nothing."""

    clock = ManualClock(0.0)
    agent = Unable(AgentSettings(), [], clock, Random(1), folder=Path("nowhere"))  # noqa: S311  chance, not secrets
    with pytest.raises(Refused) as refused:
        await _live(agent, Notify({}), clock)
    assert refused.value.exit_code == status
