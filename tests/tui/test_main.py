import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tessera.proto.schema import console
from tessera.settings.load import BadSettings
from tessera.tui.address import address_of

from .console import scripted, serving
from .scene import layout, verdict, view

FLEET = layout(racks=2, hosts=2, gpus=4)
NEVER = float("nan")
RANKED = verdict("r00", "rack", guarantee="ranked")
FACT = verdict("r01-h0-gpu0", channel="fact", guarantee="ranked")


async def tui(*flags: str, **variables: str) -> tuple[int, str, str]:
    """Run the program as a process without a terminal; return status, output and errors."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TESSERA_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tessera.tui", *flags),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**clean, **variables, "TZ": "Europe/Berlin"},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_once_tells_the_fleet_in_plain_text() -> None:
    hosts = [
        console.Host(name="r00-h1", heard_seconds=130, silent=True, shards=4),
        console.Host(name="r01-h1", heard_seconds=NEVER, silent=True, shards=0),
        console.Host(name="r00-h0", heard_seconds=1, shards=4),
    ]
    seen = view(FLEET, states={4: 4, 5: 1}, learned=12, verdicts=[RANKED, FACT], hosts=hosts)
    async with serving(scripted([seen])) as address:
        status, out, err = await tui("--once", "--address", address)
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0].startswith("prod-east  2025-11-23 15:02:10 +01:00, ")
    assert lines[1] == "open    0 controlled, 1 ranked, 1 fact"
    assert "1 learning (12 of 200)" in lines[2]
    assert lines[3].startswith("F shard r01-h0-gpu0  fact")
    assert lines[4].startswith("? rack r00")
    assert "ranked  10^5.1  since 14:40 (22 min)  open" in lines[4]
    assert lines[5] == "silent  r00-h1 (2 min), r01-h1 (never heard)"


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [([], 0), ([RANKED], 1), ([RANKED, verdict("r01", "rack")], 2), ([FACT], 2)],
    ids=["quiet", "suspect", "controlled", "fact"],
)
async def test_the_exit_status_says_how_bad_it_is(
    verdicts: list[console.Verdict], status: int
) -> None:
    async with serving(scripted([view(FLEET, verdicts=verdicts)])) as address:
        got, _, _ = await tui("--once", "--exit-status", "--address", address)
    assert got == status


async def test_a_fleet_that_is_not_formed_is_not_called_quiet() -> None:
    async with serving(scripted([view(None, waiting=3)])) as address:
        status, out, _ = await tui("--once", "--exit-status", "--address", address)
    assert status == 3
    assert "waiting for hosts: 3 to come" in out


async def test_json_is_one_object() -> None:
    async with serving(scripted([view(FLEET, verdicts=[FACT])])) as address:
        _, out, _ = await tui("--once", "--json", TESSERA_LISTEN=address, TESSERA_STATE_DIR="/x")
    told = json.loads(out)
    assert out.count("\n") == 1
    assert told["facts"] == 1
    assert told["open"][0]["since"] == "2025-11-23T13:40:00Z"
    assert told["open"][0]["correlational_not_causal"] is True


async def test_nobody_answering_is_one_line_and_status_three() -> None:
    status, out, err = await tui("--once", "--exit-status", "--address", "127.0.0.1:1")
    assert (status, out) == (3, "")
    assert err.startswith("tessera-tui: 127.0.0.1:1: no aggregator answers")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "needs a terminal; use --once"),
        (["--json"], "belong to --once"),
        (["--address", "nowhere"], "--address: is not HOST:PORT; write for instance"),
        (["--size", "9x9", "--screenshot", "x.svg"], "not between 40x10 and 400x200"),
        (["--wrong"], "; see --help"),
    ],
)
async def test_bad_input_is_one_line(flags: list[str], words: str) -> None:
    status, out, err = await tui(*flags)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


async def test_a_screenshot_is_drawn_without_a_terminal(tmp_path: Path) -> None:
    script = scripted([view(FLEET, verdicts=[RANKED])])
    script.explanation = console.Explanation(node="r00", why=["Its siblings did not move."])
    async with serving(script) as address:
        file = tmp_path / "shot.svg"
        flags = ("--screenshot", str(file), "--open", "--size", "100x30", "--address", address)
        status, _, err = await tui(*flags)
    assert (status, err) == (0, "")
    assert "Its&#160;siblings&#160;did&#160;not&#160;move." in file.read_text(encoding="utf-8")
    assert not file.with_name("shot.svg.part").exists()


async def test_a_screenshot_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    async with serving(scripted([view(FLEET)])) as address:
        file = str(tmp_path / "none" / "shot.svg")
        status, _, err = await tui("--screenshot", file, "--address", address)
    assert status == 2
    assert "no such file or directory; name another file" in err


def test_the_flag_comes_before_the_variable_and_that_before_the_servers() -> None:
    variables = {"TESSERA_ADDRESS": "a:1", "TESSERA_LISTEN": "b:2"}
    assert address_of("c:3", variables) == "c:3"
    assert address_of(None, variables) == "a:1"
    assert address_of(None, {"TESSERA_LISTEN": "b:2"}) == "b:2"
    assert address_of(None, {"TESSERA_ANYTHING": "x"}) == "127.0.0.1:9460"


def test_an_aggregator_that_listens_everywhere_is_asked_here() -> None:
    assert address_of(None, {"TESSERA_LISTEN": "0.0.0.0:9460"}) == "127.0.0.1:9460"
    assert address_of(None, {"TESSERA_LISTEN": "[::]:9460"}) == "[::1]:9460"


@pytest.mark.parametrize("text", ["host", "host:", "host:0", "host:65536", "http://a:1", "a b:1"])
def test_what_is_no_address_is_refused_by_the_name_of_its_source(text: str) -> None:
    with pytest.raises(BadSettings, match="TESSERA_LISTEN: is not HOST:PORT"):
        address_of(None, {"TESSERA_LISTEN": text})
