"""A host changes while it is watched, and nobody else's evidence knows of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.adapters.synthetic.faults import Fault
from tessera.proto.schema import console

from .changing import STEP_TIME, Fleet, Played, told
from .living import Folders, Values, mind, run
from .test_live_restart import audited as audited_in
from .test_live_restart import killed

pytestmark = pytest.mark.slow

HOST, SHARD = "host-01", "host-01-gpu-5"
SICK = "host-03-gpu-2"
SLOWS = Fault(SICK, STEP_TIME, "step", 0.10, 230, unit="fraction")
AT, TICKS = 216, 290  # ticks of 5 s; at the first a block ends at every rung up to a minute
CONFIRMED = 4  # ticks in which a change is seen twice

Change = Callable[[Fleet], None]


def audited(state: Path, kind: str) -> list[str]:
    return audited_in(Folders(state, state), kind)


def silence(fleet: Fleet) -> None:
    fleet.hosts[HOST].silent.add(SHARD)


def remove(fleet: Fleet) -> None:
    fleet.hosts[HOST].hidden.add(SHARD)


def reassign(fleet: Fleet) -> None:
    """Give the shard another job, under which it does nothing."""
    silence(fleet)
    fleet.hosts[HOST].job[SHARD] = "other"


def cut(fleet: Fleet) -> None:
    """Cut the shard into two slices, which do nothing."""
    fleet.hosts[HOST].slices[SHARD] = ("slice-0", "slice-1")


def show(fleet: Fleet) -> None:
    fleet.hosts[HOST].hidden.clear()


def read_otherwise(fleet: Fleet) -> None:
    fleet.hosts[HOST].schemas["power_watts"] = "v2"


def nothing(fleet: Fleet) -> None:
    del fleet


def shards(found: Values, *without: str) -> Values:
    """Return ln M of the shards that were there all the time, but those beneath ``without``."""
    return {k: v for k, v in found.items() if "-gpu-" in k[2] and not k[2].startswith(without)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changes")


@pytest.fixture(scope="module")
def silenced(folder: Path) -> Played:
    """Return a run in which a shard falls silent and nothing else changes."""
    return asyncio.run(Fleet(SLOWS).played(folder / "silenced", silence, AT, TICKS))


@pytest.mark.parametrize("change", [remove, reassign, cut])
async def test_a_shard_that_goes_or_changes_is_to_all_others_as_one_that_falls_silent(
    folder: Path, silenced: Played, change: Change
) -> None:
    found = await Fleet(SLOWS).played(folder / change.__name__, change, AT, TICKS)
    assert shards(found.values, SHARD) == shards(silenced.values, SHARD)
    assert any(value != 0 for value in shards(found.values, SHARD).values())
    first, usual = opened(found)[0], opened(silenced)[0]
    assert first == usual if change is not cut else first[0] == usual[0]  # of more, it needs more
    assert {name for name in silenced.epochs if found.epochs[name] > silenced.epochs[name]} == (
        {SHARD, HOST, "rack-00", "cluster"} if change is reassign else above(change)
    )


def above(change: Change) -> set[str]:
    """Return the nodes that stand among other siblings when a slice lies beneath them."""
    return {HOST, "rack-00", "cluster"} if change is cut else set()


def opened(found: Played) -> list[tuple[str, float]]:
    """Return the shards whose verdict opened, and when."""
    named = (t for t in found.transitions if t.transition == "opened" and "-gpu-" in t.node)
    return [(t.node, t.at) for t in named]


async def test_a_shard_that_left_keeps_its_evidence_and_its_place_and_is_shown_gone(
    folder: Path, silenced: Played
) -> None:
    plain = Fleet()
    async with plain.live(folder / "gone") as fleet:
        await run(fleet, AT)
        before = told(fleet, [])
        remove(plain)
        await run(fleet, 12)
        after = told(fleet, [])
        newest = fleet.aggregator.hub.newest
        assert newest is not None
        view = console.View.FromString(newest.for_reader(0))
        shown = dict(zip([r.id for r in view.layout.rows], view.state, strict=True))
        assert SHARD not in [row.id for row in fleet.agents[HOST].inventory.shards]
    of_shard = {k: v for k, v in before.values.items() if k[2] == SHARD}
    assert {k: v for k, v in after.values.items() if k[2] == SHARD} == of_shard
    assert any(value != 0 for value in of_shard.values())
    assert after.hypotheses == before.hypotheses == silenced.hypotheses
    assert shown[SHARD] == console.GONE
    assert f"gone shards: {SHARD}" in audited(folder / "gone", "host")


async def test_a_metric_that_comes_restarts_its_host_and_no_other(folder: Path) -> None:
    """And a fault elsewhere is found in the block in which it is found without."""
    found: list[Played] = []
    for name, change in (("without", nothing), ("with", show)):
        fleet = Fleet(SLOWS)
        fleet.hosts[HOST].hidden.add("power_watts")
        found.append(await fleet.played(folder / f"metric-{name}", change, AT, TICKS))
    without, with_it = found
    assert shards(with_it.values, HOST) == shards(without.values, HOST)
    assert with_it.transitions == without.transitions
    assert [node for node, _ in opened(with_it)] == [SICK]
    risen = {n for n in with_it.epochs if with_it.epochs[n] > without.epochs[n]}
    assert risen == {f"{HOST}-gpu-{i}" for i in range(8)}
    (said,) = (t for t in audited(folder / "metric-with", "epoch") if "others" in t)
    assert said.endswith("its metrics are others")
    assert "new metrics: power_watts" in str(audited(folder / "metric-with", "host"))


async def test_streams_of_a_host_that_gets_a_metric_go_on_with_what_they_learned(
    folder: Path,
) -> None:
    plain = Fleet()
    plain.hosts[HOST].hidden.add("power_watts")
    async with plain.live(folder / "learned") as fleet:
        await run(fleet, AT)
        show(plain)
        await run(fleet, 12)
        assert fleet.agents[HOST].inventory.version == 2
        learned = mind(fleet).standing().learned
        rows = mind(fleet).fleet.rows
        assert all(learned[i] == 200 for i, name in enumerate(rows) if name.startswith(HOST + "-"))


async def test_a_shard_that_comes_learns_in_an_epoch_of_its_own(folder: Path) -> None:
    plain = Fleet(SLOWS)
    plain.hosts[HOST].hidden.add(SHARD)
    found = await plain.played(folder / "joined", show, AT, TICKS)
    assert [name for name, epoch in found.epochs.items() if epoch == found.epochs[SHARD]] == [SHARD]
    assert any(text.endswith("it joined") for text in audited(folder / "joined", "epoch"))
    assert [node for node, _ in opened(found)] == [SICK]


async def test_a_metric_that_is_read_otherwise_begins_anew_and_the_audit_says_how(
    folder: Path,
) -> None:
    plain, otherwise = [
        await Fleet(SLOWS).played(folder / change.__name__, change, AT, TICKS)
        for change in (nothing, read_otherwise)
    ]

    def of_host(run_: Played, *metrics: str) -> Values:
        return {
            k: v for k, v in run_.values.items() if k[2].startswith(f"{HOST}-") and k[1] in metrics
        }

    same = of_host(plain, STEP_TIME, "temperature_celsius")
    assert of_host(otherwise, STEP_TIME, "temperature_celsius") == same
    assert set(of_host(otherwise, "power_watts").values()) == {0.0}
    assert any(value != 0 for value in same.values())
    assert opened(otherwise) == opened(plain) != []
    (said,) = (t for t in audited(folder / "read_otherwise", "epoch") if "power_watts is" in t)
    assert said.endswith("power_watts is W, gauge, identity, v2 now, it was W, gauge, identity")


@pytest.mark.parametrize("after", [CONFIRMED - 2, CONFIRMED, CONFIRMED + 2, CONFIRMED + 4])
async def test_a_kill_at_any_stage_of_a_change_loses_nothing(folder: Path, after: int) -> None:
    """Before it is believed, when it is announced, when it is followed, and later."""
    plain = Fleet(SLOWS)
    state = folder / f"killed-{after}"
    async with plain.live(state) as fleet:
        await run(fleet, AT)
        remove(plain)
        await run(fleet, after)
        with killed(state / "agents" / HOST):
            await fleet.agents.pop(HOST).stop()
        await fleet.start_agent(HOST)
        await fleet.come_to_rest()
        await run(fleet, 12)
        assert len(fleet.agents[HOST].inventory.shards) == 7
        of_host = {k: v for k, v in told(fleet, []).values.items() if k[2].startswith(f"{HOST}-")}
    assert any(value != 0 for value in of_host.values())
    assert not [text for text in audited(state, "epoch") if HOST in text]


async def test_a_change_while_the_agent_was_down_costs_only_what_changed(
    folder: Path, silenced: Played
) -> None:
    plain = Fleet(SLOWS)
    state = folder / "down"
    async with plain.live(state) as fleet:
        done = await run(fleet, AT)
        await fleet.agents.pop(HOST).stop()
        remove(plain)
        await fleet.start_agent(HOST)
        await fleet.come_to_rest()
        done += await run(fleet, TICKS - AT)
        found = told(fleet, done)
    assert shards(found.values, SHARD) == shards(silenced.values, SHARD)
    assert found.transitions == silenced.transitions
    assert not [text for text in audited(state, "epoch") if HOST in text]
