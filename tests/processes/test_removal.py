"""What an agent leaves behind: the files that are documented, and nothing anywhere else."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

from .programs import PATIENCE

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


def documented() -> list[re.Pattern[str]]:
    """Return the files of the state folder that `docs/operating.md` tells of, N for a number."""
    section = OPERATING.read_text(encoding="utf-8").split("## What happens when")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(agent/[\w/-]+)`", row)]
    patterns = [
        re.escape(name).replace("N", r"\d+") if name[-1] == "N" else re.escape(name)
        for name in names
    ]
    return [re.compile(pattern) for pattern in patterns]


def test_an_agent_leaves_the_documented_files_of_its_state_folder_and_nothing_else(
    tmp_path: Path,
) -> None:
    state, home, temporary, run = (tmp_path / n for n in ("state", "home", "temporary", "run"))
    for folder in (state, home, temporary, run):
        folder.mkdir()
    environ = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_RUNTIME_DIR": str(run),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": ":".join(sys.path),
        "TESSERA_STATE_DIR": str(state),
        "TESSERA_AGENT_HTTP": "127.0.0.1:0",
    }
    words = ["-m", "tessera.agent", "--source", "synthetic", "--aggregator", "127.0.0.1:1"]
    with subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, *words], env=environ, cwd=home, stderr=subprocess.DEVNULL
    ) as agent:
        try:
            end = monotonic() + PATIENCE
            while not list((state / "agent").glob("checkpoint-*")) and monotonic() < end:
                sleep(0.05)
            sleep(2.0)  # some ticks
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(PATIENCE) == 0
        finally:
            agent.kill()
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert left
    known = documented()
    inside = [str(path.relative_to("state")) for path in left if path.parts[0] == "state"]
    assert len(inside) == len(left), left
    assert [name for name in inside if not any(one.match(name) for one in known)] == []
    assert [path for path in tmp_path.rglob("*") if path.is_socket()] == []
