import subprocess
import sys

import pytest

LACKING = """
import sys
class Lacks:
    def find_spec(self, name, path=None, target=None):
        if name == {lacks!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Lacks())
from tessera.settings.start import {program}
sys.argv = ["x", "--help"]
{program}()
"""


def started(program: str, lacks: str) -> subprocess.CompletedProcess[str]:
    code = LACKING.format(program=program, lacks=lacks)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - our own words


@pytest.mark.parametrize(
    ("program", "lacks", "said"),
    [
        ("lab", "rich", "tessera: this installation lacks rich; install tessera[lab]"),
        ("tui", "click", "tessera-tui: this installation lacks click; install tessera[tui]"),
        ("agent", "grpc", "tessera-agent: this installation lacks grpc; install tessera[agent]"),
    ],
)
def test_a_missing_extra_is_said_in_one_line(program: str, lacks: str, said: str) -> None:
    told = started(program, lacks)
    assert (told.returncode, told.stdout, told.stderr) == (2, "", f"{said}\n")


@pytest.mark.parametrize("program", ["agent", "aggregator", "tui", "lab"])
def test_a_program_that_lacks_nothing_starts(program: str) -> None:
    told = started(program, "nothing")
    assert (told.returncode, told.stderr) == (0, "")
    assert "Usage: " in told.stdout
