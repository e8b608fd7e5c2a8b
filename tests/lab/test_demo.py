import subprocess
import sys

import pytest

QUIET = ("--headless", "--no-fault")


def demo(*options: str) -> subprocess.CompletedProcess[bytes]:
    """Run `tessera demo` in a process of its own, without a terminal."""
    words = [sys.executable, "-m", "tessera.lab", "demo", *options]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - our own words


def planted(told: bytes) -> str:
    """Return the shard that was hit, by what was printed."""
    return told.decode().split("planted  ")[1].split(":")[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_exactly_the_planted_shard_is_named(seed: int) -> None:
    told = demo("--seed", str(seed))
    assert (told.returncode, told.stderr) == (0, b"")
    shard = planted(told.stdout)
    assert told.stdout.decode().splitlines()[-1] == f"named    {shard}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_without_a_fault_nobody_is_named(seed: int) -> None:
    told = demo(*QUIET, "--seed", str(seed))
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout.decode().splitlines()[-1] == "named    nobody"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second, other = demo("--seed", "3"), demo("--seed", "3"), demo("--seed", "4")
    assert first.stdout == second.stdout
    assert first.stdout != other.stdout


def test_a_negative_seed_is_refused_in_one_line() -> None:
    told = demo("--seed", "-1")
    assert (told.returncode, told.stdout) == (2, b"")
    assert len(told.stderr.splitlines()) == 1


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_played() -> None:
    told = demo("--screenshot", "/nowhere/at/all.svg")
    assert (told.returncode, told.stdout) == (2, b"")
    assert b"/nowhere/at/all.svg" in told.stderr
