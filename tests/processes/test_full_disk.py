"""A log that cannot be written ends nobody."""

from pathlib import Path

import pytest

from tessera.proto.schema import console

from .programs import look_until, program

FULL = Path("/dev/full")  # whatever is written there finds no room


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
async def test_agent_and_aggregator_live_though_their_logs_cannot_be_written(
    tmp_path: Path,
) -> None:
    state = ("--state-dir", str(tmp_path), "--log-level", "debug")
    with program("aggregator", FULL, "--listen", "127.0.0.1:0", *state) as serving:
        assert serving.process.stdout is not None
        address = serving.process.stdout.readline().split("serving on ")[1].split(",")[0]
        words = ("--source", "synthetic", "--host", "host-0", "--agent-http", "127.0.0.1:0")
        with program("agent", FULL, *words, "--aggregator", address, *state) as agent:

            def heard(seen: console.View) -> bool:
                return [host.name for host in seen.hosts if not host.silent] == ["host-0"]

            await look_until(address, heard)
            assert agent.terminate() == 0
        assert serving.terminate() == 0
