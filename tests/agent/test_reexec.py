import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from tessera.agent.reexec import MARK, PAUSE, may_begin, stale

PATIENCE = 30.0  # seconds after which a process that should have ended has failed

# A program that begins anew once, and says each time who and what it is.
PROGRAM = """
import os, sys
from tessera.agent.reexec import MARK, begin
print(os.getpid(), sys.argv[1:], sys.flags.utf8_mode, os.environ["OWN"], MARK in os.environ)
if MARK not in os.environ:
    begin(1234.5)
print(os.environ[MARK])
"""

# The agent with a source beneath which the driver is replaced, once.
AGENT = """
import os
from tessera.adapters.base import Reading, Shard
from tessera.agent import __main__ as agent
from tessera.agent.program import Found
from tessera.agent.reexec import MARK

class Replaced:
    name = "replaced"
    stale = ""
    def shards(self):
        return [Shard("GPU-a", "gpu_shard")]
    def read(self, at):
        self.stale = "" if MARK in os.environ else "the driver was replaced"
        return [Reading("GPU-a", "power_watts", 500.0)]

agent.find_sources = lambda settings, began: Found((Replaced(),))
agent.main()
"""


class Source:
    def __init__(self, why: str) -> None:
        self.stale = why


def test_a_source_that_needs_a_new_process_says_why() -> None:
    assert stale([object(), Source(""), Source("the driver was replaced")]) == (
        "the driver was replaced"
    )
    assert stale([object(), Source("")]) == ""
    assert stale([]) == ""


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        ({}, True),
        ({MARK: "not a time"}, True),
        ({MARK: "1000.0"}, False),
        ({MARK: repr(1001.0 - PAUSE)}, False),
        ({MARK: repr(1000.0 - PAUSE)}, True),
        ({MARK: "5000.0"}, True),
    ],
    ids=["never", "garbage", "just now", "lately", "long ago", "before the clock was set back"],
)
def test_a_new_beginning_is_not_the_answer_each_second(
    environ: dict[str, str],
    allowed: bool,  # noqa: FBT001  a table's column
) -> None:
    assert may_begin(environ, 1000.0) is allowed


def test_the_same_process_begins_anew_with_the_same_arguments_and_environment(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(  # noqa: S603  the program above
        [sys.executable, "-X", "utf8=1", str(program), "--first", "a b"],
        env={**os.environ, "OWN": "kept"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    first, second, mark = done.stdout.splitlines()
    assert first.endswith("['--first', 'a b'] 1 kept False")
    assert second == first.replace("False", "True")
    assert mark == "1234.5"


def test_an_agent_whose_driver_was_replaced_ends_in_good_order_and_begins_anew(
    tmp_path: Path,
) -> None:
    program = tmp_path / "agent.py"
    program.write_text(AGENT, encoding="utf-8")
    options = ["--aggregator", "127.0.0.1:1", "--agent-http", "127.0.0.1:0", "--host", "h"]
    said = [sys.executable, str(program), *options, "--state-dir", str(tmp_path / "state")]
    with subprocess.Popen(said, stderr=subprocess.PIPE, text=True) as running:  # noqa: S603  the program above
        assert running.stderr is not None
        watchdog = Timer(PATIENCE, running.kill)
        watchdog.start()
        lines = []
        for line in running.stderr:
            lines.append(line)
            if sum("agent started" in line for line in lines) == 2:
                running.send_signal(signal.SIGTERM)
                break
        lines += running.stderr
        watchdog.cancel()
        assert running.wait(PATIENCE) == 0, lines
    starts = [line for line in lines if "agent started" in line]
    assert all(
        "evidence=new host=h inventory=1" in line for line in starts
    )  # no plan: none to keep
    assert sum("the driver was replaced" in line for line in lines) == 1
