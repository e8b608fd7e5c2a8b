"""What a training program imports: it finds the agent, and costs the program nothing."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tessera.agent.client import Client, bearing, paths


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "agent.sock"))
        made.setblocking(False)  # noqa: FBT003  socket's own signature
        yield made


Making = Callable[..., Client]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Making]:
    made: list[Client] = []

    def make(**environ: str) -> Client:
        made.append(Client({"TESSERA_SOCKET": str(tmp_path / "agent.sock"), **environ}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def heard(listening: socket.socket) -> dict[str, object]:
    found = json.loads(listening.recv(9000))
    assert isinstance(found, dict)
    return found


def test_importing_it_brings_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import tessera.agent.client\n"
        "tops = {name.split('.')[0] for name in set(sys.modules) - before} - {'tessera'}\n"
        "print(sorted(tops - set(sys.stdlib_module_names)))\n"
        "print(sorted(n for n in sys.modules if n.startswith('tessera')))"
    )
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "[]",
        "['tessera', 'tessera.agent', 'tessera.agent.client']",
    ]


def test_a_value_is_one_datagram_with_rank_and_device(
    client: Making, listening: socket.socket
) -> None:
    mine = client(RANK="11", LOCAL_RANK="3", CUDA_VISIBLE_DEVICES="4,5,6,7")
    assert mine.push("step_time_seconds", 0.43)
    assert heard(listening) == {
        "metric": "step_time_seconds",
        "value": 0.43,
        "rank": 11,
        "device": "7",
    }
    assert mine.push("step_time_seconds", 0.5, rank=2, device="GPU-1")
    assert heard(listening) == {
        "metric": "step_time_seconds",
        "value": 0.5,
        "rank": 2,
        "device": "GPU-1",
    }
    assert (mine.sent, mine.dropped) == (2, 0)


def test_a_timer_pushes_the_seconds_of_its_block_unless_that_raised(
    client: Making, listening: socket.socket
) -> None:
    mine = client()
    with mine.timer():
        pass
    told = heard(listening)
    assert told["metric"] == "step_time_seconds"
    assert isinstance(told["value"], float)
    assert told["value"] > 0
    with pytest.raises(ZeroDivisionError), mine.timer():
        _ = 1 / 0
    with pytest.raises(BlockingIOError):
        listening.recv(9000)


def test_without_an_agent_values_are_dropped_counted_and_nothing_is_raised(client: Making) -> None:
    mine = client()
    assert not mine.push("step_time_seconds", 0.43)
    assert (mine.sent, mine.dropped) == (0, 1)


def test_what_is_no_number_is_dropped_and_nothing_is_raised(client: Making) -> None:
    mine = client()
    assert not mine.push("step_time_seconds", "slow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the fault under test
    assert mine.dropped == 1


def test_an_agent_that_does_not_read_makes_nobody_wait(
    client: Making, listening: socket.socket
) -> None:
    assert listening.fileno() >= 0
    mine = client()
    sent = sum(mine.push("step_time_seconds", 0.43) for _ in range(2000))
    assert 0 < sent < 2000  # the kernel holds some
    assert mine.dropped == 2000 - sent


def test_the_agent_is_looked_for_where_agents_listen_and_nowhere_else_if_named() -> None:
    found = paths({"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/home/x"})
    assert found == (
        "/run/tessera/agent.sock",
        "/run/user/7/tessera/agent.sock",
        "/var/lib/tessera/agent/agent.sock",
        "/home/x/.local/state/tessera/agent/agent.sock",
    )
    assert paths({"TESSERA_SOCKET": "/x"}) == ("/x",)


@pytest.mark.parametrize(
    ("environ", "device", "among"),
    [
        ({}, None, None),
        ({"LOCAL_RANK": "2"}, "2", None),
        ({"LOCAL_RANK": "2", "CUDA_VISIBLE_DEVICES": "4,5,6,7"}, "6", None),
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "GPU-a, GPU-b"}, "GPU-b", None),
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "3,-1,5"}, "3", None),  # nothing behind −1
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": ""}, None, None),
        ({"SLURM_LOCALID": "5", "CUDA_VISIBLE_DEVICES": "5"}, "5", None),  # bound each to its own
        ({"LOCAL_RANK": "5", "CUDA_VISIBLE_DEVICES": "0,1"}, None, None),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None, None),  # one process for both: it is neither's
        # In a cgroup of a job numbers begin at 0; Slurm knows the host's.
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "0,1", "SLURM_STEP_GPUS": "6,7"}, "1", "67"),
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "6,7", "SLURM_STEP_GPUS": "6,7"}, "7", None),
        # A container sees its own devices alone.
        ({"LOCAL_RANK": "1", "NVIDIA_VISIBLE_DEVICES": "a,b"}, "1", "ab"),
        ({"NVIDIA_VISIBLE_DEVICES": "a"}, "0", "a"),
        ({"LOCAL_RANK": "1", "NVIDIA_VISIBLE_DEVICES": "all"}, "1", None),
        ({"LOCAL_RANK": "1", "TPU_VISIBLE_CHIPS": "2,3"}, "3", None),
    ],
)
def test_the_device_is_the_one_the_launcher_gave_this_process_or_unknown(
    environ: dict[str, str], device: str | None, among: str | None
) -> None:
    found = bearing(environ)
    assert found.get("device") == device
    assert found.get("among") == (None if among is None else list(among))
