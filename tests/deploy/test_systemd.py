"""The units: what systemd itself says of them, and that they agree with the programs."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tessera.agent.runtime import SUPERSEDED
from tessera.settings.notify import SLOWEST, Notify
from tessera.settings.refused import BAD_INPUT

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NAMES = [path.stem for path in UNITS]
ANALYZE = shutil.which("systemd-analyze") or ""
needs_systemd = pytest.mark.skipif(not ANALYZE, reason="no systemd-analyze here")
MOST_EXPOSED = 35  # tenths, of 100; a unit without hardening has 96


def directives(unit: Path) -> dict[str, str]:
    """Return the settings of ``unit``, those that stand twice joined."""
    found: dict[str, str] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key] = f"{found[key]} {value}" if key in found else value
    return found


def standing_alone(unit: Path, folder: Path) -> Path:
    """Return a copy that needs no user, program or paper of this machine."""
    text = unit.read_text(encoding="utf-8")
    for key, value in (("ExecStart", "/bin/true"), ("User", "root"), ("Group", "root")):
        text = re.sub(rf"^{key}=.*$", f"{key}={value}", text, flags=re.MULTILINE)
    copy = folder / unit.name
    copy.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    return copy


def analyzed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  a tool of the machine's
        [ANALYZE, *words], capture_output=True, text=True, timeout=60, check=False
    )


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_systemd_finds_nothing_to_blame(unit: Path, tmp_path: Path) -> None:
    done = analyzed("verify", "--man=no", str(standing_alone(unit, tmp_path)))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_does_blame_a_setting_that_it_does_not_know(tmp_path: Path) -> None:
    copy = standing_alone(UNITS[0], tmp_path)
    copy.write_text(copy.read_text("utf-8").replace("ProtectHome", "ProtectHoem"), "utf-8")
    assert "ProtectHoem" in analyzed("verify", "--man=no", str(copy)).stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_a_unit_exposes_little(unit: Path, tmp_path: Path) -> None:
    copy = standing_alone(unit, tmp_path)
    text = copy.read_text("utf-8").replace("User=root", "User=nobody")
    copy.write_text(text, "utf-8")
    done = analyzed("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(copy))
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_a_unit_starts_a_program_that_is_installed(unit: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    program = Path(directives(unit)["ExecStart"]).name
    assert program == unit.stem
    assert program in project["scripts"]


@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_what_a_person_has_to_mend_is_not_tried_again(unit: Path) -> None:
    final = {int(status) for status in directives(unit)["RestartPreventExitStatus"].split()}
    assert BAD_INPUT in final
    assert (SUPERSEDED in final) == (unit.stem == "tessera-agent")


@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_the_watchdog_hears_us_three_times_in_its_patience(unit: Path) -> None:
    seconds = int(directives(unit)["WatchdogSec"].removesuffix("s"))
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": str(seconds * 1_000_000)}
    assert directives(unit)["Type"] == "notify"
    assert Notify(environ).every <= min(SLOWEST, seconds / 3)


def test_the_agent_sees_its_devices_and_the_kernels_log() -> None:
    """What hides them by a side effect is easily set by somebody who hardens the unit further."""
    (agent,) = (directives(unit) for unit in UNITS if unit.stem == "tessera-agent")
    hiding = {"PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy", "ProtectKernelLogs"}
    assert hiding & set(agent) == set()
    assert agent["AmbientCapabilities"] == "CAP_SYSLOG"
