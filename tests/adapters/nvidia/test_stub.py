"""The vendor's binding on a real shared library, found by the loader in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
SOURCE = Path(__file__).with_name("stub.c")
pytestmark = pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="there is no C compiler here"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stub")
    library = made / "libnvidia-ml.so.1"
    command = [str(COMPILER), "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(SOURCE)], check=True)  # noqa: S603 - our own source
    return made


def check(folder: Path, **environ: str) -> list[list[str]]:
    """Return the words of each line that ``tessera-agent check`` prints with that library."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("TESSERA_")}
    env = {**ours, "LD_LIBRARY_PATH": str(folder), **environ}
    done = subprocess.run(
        [sys.executable, "-m", "tessera.agent", "check"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split() for line in done.stdout.splitlines()]


def test_the_agent_reads_a_library_that_the_loader_finds(folder: Path) -> None:
    lines = check(folder)
    assert ["nvml", "GPU-stub-0", "power_watts", "400.25", "W"] in lines
    assert ["nvml", "GPU-stub-1", "power_watts", "401.25", "W"] in lines
    assert ["nvml", "GPU-stub-0", "temperature_celsius", "50", "Cel"] in lines  # the older call
    assert ["nvml", "GPU-stub-0", "memory_used_bytes", "6.44245e+10", "By"] in lines
    assert ["nvml", "GPU-stub-0", "memory_temperature_celsius", "66", "Cel"] in lines
    assert ["nvml", "GPU-stub-1", "utilization_ratio", "error:", "impossible"] in lines
    assert ["nvml", "GPU-stub-0", "pcie_replays", "0", "1"] in lines
    assert ["nvml", "GPU-stub-0", "nvlink_active_links", "unsupported"] in lines
    assert ["nvml", "GPU-stub-0", "sm_active_ratio", "unsupported"] in lines


def test_a_lost_device_is_a_row_while_the_other_is_read(folder: Path) -> None:
    lines = check(folder, NVML_STUB_LOST="0")
    assert ["nvml", "GPU-stub-0", "power_watts", "error:", "GPU_IS_LOST"] in lines
    assert ["nvml", "GPU-stub-1", "power_watts", "401.25", "W"] in lines


@pytest.mark.parametrize(
    ("code", "reason"), [("9", "is not loaded"), ("18", "was replaced beneath its library")]
)
def test_a_library_that_does_not_start_is_absent_with_its_reason(
    folder: Path, code: str, reason: str
) -> None:
    text = "\n".join(" ".join(line) for line in check(folder, NVML_STUB_INIT=code))
    assert f"absent: nvml is not available here: the NVIDIA driver {reason}" in text


def test_without_the_library_the_source_is_absent(tmp_path: Path) -> None:
    text = "\n".join(" ".join(line) for line in check(tmp_path))
    if "libnvidia-ml.so.1" not in text:
        pytest.skip("this machine has the vendor's own library")
    assert "absent: nvml is not available here" in text
