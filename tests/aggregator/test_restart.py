import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.pipeline import Pipeline
from tessera.aggregator.runtime import Aggregator
from tessera.proto.schema import console, console_stub
from tessera.settings.clock import ManualClock

from .agents import START, serving
from .live import Live, Living

HOSTS = ("h0", "h1", "h2")
SLOW = [(1, 3)]


@dataclass
class Killed:
    """What is left of an aggregator that was killed: its disk, and agents that go on."""

    folder: Path
    clock: ManualClock
    rng: np.random.Generator
    hosts: list[Living]
    log_m: npt.NDArray[np.float64]
    open: dict[str, str]
    plan: int
    opened_ns: list[int]


async def killed(folder: Path, after: int) -> Killed:
    """Let blocks pass with a slow shard, then take the disk as it is, in the middle of the run."""
    clock, rng = ManualClock(START), np.random.default_rng(1)
    running, left = folder / "running", folder / "left"
    async with (
        serving(running, clock, expect_hosts=3) as aggregator,
        Live(aggregator, clock, HOSTS) as live,
    ):
        await live.play(after, rng, SLOW)
        await aggregator.settled()
        shutil.copytree(running, left, ignore=shutil.ignore_patterns("lock"))
        mind = pipeline(aggregator)
        return Killed(
            left,
            clock,
            rng,
            live.hosts,
            mind.log_m(),
            {v.id: v.node for v in mind.open_verdicts},
            mind.planner.id,
            [v.opened_ns for v in (await newest(aggregator.address)).open],
        )


def pipeline(aggregator: Aggregator) -> Pipeline:
    assert isinstance(aggregator.mind, Pipeline)
    return aggregator.mind


async def newest(address: str) -> console.View:
    async with grpc.aio.insecure_channel(address) as channel:
        watching = console_stub(channel).Watch(console.WatchRequest())
        return await anext(aiter(watching))


def of_shards(log_m: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return log_m[:, :, : len(HOSTS) * 8]


async def test_what_was_open_stays_open_under_the_same_id_and_is_not_opened_again(
    tmp_path: Path,
) -> None:
    left = await killed(tmp_path, 60)
    assert left.open == {"v1": "h1-gpu-3"}
    async with (
        serving(left.folder, left.clock, expect_hosts=3) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        done = await live.play(20, left.rng, SLOW)
        assert [t.transition for t in done if t.id == "v1"] in ([], ["promoted"])
        assert {v.id: v.node for v in pipeline(again).open_verdicts} == left.open
        view = await newest(again.address)
        assert [v.id for v in view.open] == ["v1"]
        assert [v.opened_ns for v in view.open] == left.opened_ns


async def test_evidence_goes_on_from_where_it_stood_in_the_same_epochs(tmp_path: Path) -> None:
    left = await killed(tmp_path, 60)
    async with (
        serving(left.folder, left.clock, expect_hosts=3) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        assert (of_shards(pipeline(again).log_m()) == of_shards(left.log_m)).all()
        await live.play(6, left.rng, SLOW)
        ill = pipeline(again).fleet.rows.index("h1-gpu-3")
        before, after = left.log_m[2, 0, ill], pipeline(again).log_m()[2, 0, ill]
        assert after > before > 5.0
    with sqlite3.connect(left.folder / "tessera.db") as connection:
        texts = [t for (t,) in connection.execute("SELECT text FROM audit WHERE kind = 'epoch'")]
    connection.close()
    assert [t for t in texts if "lost" in t or "joined" in t] == []


async def test_until_hosts_come_back_their_values_are_shown_as_silent_with_their_age(
    tmp_path: Path,
) -> None:
    left = await killed(tmp_path, 60)
    left.clock.advance(100.0)
    async with serving(left.folder, left.clock, expect_hosts=3) as again:
        view = await newest(again.address)
        assert [v.id for v in view.open] == ["v1"]
        assert [(h.name, h.silent) for h in view.hosts] == [(h, True) for h in HOSTS]
        assert all(100.0 <= h.heard_seconds <= 115.0 for h in view.hosts)
        shard = [r.id for r in view.layout.rows].index("h1-gpu-3")
        assert view.state[shard] == console.SILENT
        assert np.frombuffer(view.log_e, "<f2")[shard] > 5.0


async def test_plans_go_on_from_the_number_of_the_last(tmp_path: Path) -> None:
    left = await killed(tmp_path, 30)
    assert left.plan > 1
    async with (
        serving(left.folder, left.clock, expect_hosts=3) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        await live.play(3, left.rng, SLOW)
        assert pipeline(again).planner.id >= left.plan


async def test_without_its_checkpoint_it_begins_anew_with_later_numbers_and_says_why(
    tmp_path: Path,
) -> None:
    left = await killed(tmp_path, 30)
    with sqlite3.connect(left.folder / "tessera.db") as connection:
        connection.execute("UPDATE checkpoints SET state = substr(state, 1, length(state) - 9)")
    connection.close()
    async with (
        serving(left.folder, left.clock, expect_hosts=3) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        await live.play(3, left.rng, SLOW)
        assert pipeline(again).planner.id > left.plan
    with sqlite3.connect(left.folder / "tessera.db") as connection:
        texts = [text for (text,) in connection.execute("SELECT text FROM audit")]
    connection.close()
    assert any(t.startswith("evidence begins anew: the checkpoint is damaged") for t in texts)


async def test_a_verdict_that_was_committed_is_in_the_checkpoint_beside_it(tmp_path: Path) -> None:
    for after in (22, 24, 26, 28):
        left = await killed(tmp_path / str(after), after)
        async with serving(left.folder, left.clock, expect_hosts=3) as again:
            assert {v.id: v.node for v in pipeline(again).open_verdicts} == left.open
            assert pipeline(again).planner.id >= left.plan


def audited(folder: Path) -> list[tuple[str, str]]:
    """Return node and text of the whole audit trail."""
    with sqlite3.connect(folder / "tessera.db") as connection:
        found = connection.execute("SELECT node, text FROM audit ORDER BY id").fetchall()
    connection.close()
    return [(str(node), str(text)) for node, text in found]


async def test_with_other_settings_verdicts_stay_open_and_new_ones_get_later_numbers(
    tmp_path: Path,
) -> None:
    left = await killed(tmp_path, 60)
    async with (
        serving(left.folder, left.clock, expect_hosts=3, q=0.05) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        assert {v.id: v.node for v in pipeline(again).open_verdicts} == left.open
        done = await live.play(60, left.rng, [*SLOW, (2, 5)])
        assert [(t.id, t.node) for t in done if t.transition == "opened"] == [("v2", "h2-gpu-5")]
        assert {t.transition for t in done if t.id == "v1"} <= {"promoted"}
        view = await newest(again.address)
        assert [(v.id, v.node) for v in view.open] == [("v1", "h1-gpu-3"), ("v2", "h2-gpu-5")]
        assert [v.opened_ns for v in view.open][:1] == left.opened_ns
        assert view.q == 0.05
    said = audited(left.folder)
    why = "evidence begins anew: the checkpoint is of other settings"
    assert [text for _, text in said if text.startswith(why)] != []
    assert ("h1-gpu-3", "v1 stays open with the evidence of its opening") in said


async def test_a_verdict_whose_evidence_was_lost_is_shown_and_explained_as_such(
    tmp_path: Path,
) -> None:
    left = await killed(tmp_path, 60)
    async with (
        serving(left.folder, left.clock, expect_hosts=3, q=0.05) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        await live.play(3, left.rng, SLOW)
        view = await newest(again.address)
        row = [r.id for r in view.layout.rows].index("h1-gpu-3")
        assert np.frombuffer(view.log_e, "<f2")[row] < 1.0
        async with grpc.aio.insecure_channel(again.address) as channel:
            asked = console.ExplainRequest(node="h1-gpu-3")
            told = await console_stub(channel).Explain(asked)
        assert (told.verdict.id, told.verdict.log_e) == ("v1", view.open[0].log_e)
        assert told.verdict.log_e > 5.0
        assert told.why[0] == told.verdict.reason
        assert told.why[1].startswith("it was opened with e = ")
        assert any("is learning" in why for why in told.why[2:])


async def test_without_any_checkpoint_the_audit_says_that_there_was_none(tmp_path: Path) -> None:
    left = await killed(tmp_path, 60)
    with sqlite3.connect(left.folder / "tessera.db") as connection:
        connection.execute("DELETE FROM checkpoints")
    connection.close()
    async with serving(left.folder, left.clock, expect_hosts=3) as again:
        assert {v.id: v.node for v in pipeline(again).open_verdicts} == left.open
        assert pipeline(again).planner.id >= left.plan
    texts = [text for _, text in audited(left.folder)]
    assert "evidence begins anew: the last run left no checkpoint" in texts


async def test_a_checkpoint_gives_way_to_what_others_were_told(tmp_path: Path) -> None:
    left = await killed(tmp_path, 60)
    with sqlite3.connect(left.folder / "tessera.db") as connection:
        connection.execute("UPDATE verdicts SET state = 'closed' WHERE id = 'v1'")
    connection.close()
    async with serving(left.folder, left.clock, expect_hosts=3) as again:
        assert pipeline(again).open_verdicts == ()
        async with Live(again, left.clock, HOSTS, left.hosts) as live:
            await live.play(1, left.rng, SLOW)
            found = {v.id: v.node for v in pipeline(again).open_verdicts}
            assert found == {"v2": "h1-gpu-3"}  # its evidence is what it was
    said = audited(left.folder)
    assert ("h1-gpu-3", "v1 is not open: nobody was told of it, or it was closed") in said


@pytest.mark.parametrize("after", [6, 60])  # in the first plan, whose number comes again, or later
async def test_after_a_wiped_database_every_host_begins_anew_with_later_numbers(
    tmp_path: Path, after: int
) -> None:
    left = await killed(tmp_path, after)
    assert (left.plan == 1) == (after == 6)
    fresh = tmp_path / "fresh"
    async with (
        serving(fresh, left.clock) as again,
        Live(again, left.clock, HOSTS, left.hosts) as live,
    ):
        left.clock.advance(10.0)  # it is quiet, so a fleet is formed
        await live.play(6, left.rng, SLOW)
        obeyed = [host.evidence.plan.id for host in live.hosts if host.evidence.plan]
        assert obeyed == [pipeline(again).planner.id] * 3
        assert obeyed[0] > left.plan
        ill = pipeline(again).fleet.rows.index("h1-gpu-3")
        assert left.log_m[2, 0, ill] > pipeline(again).log_m()[2, 0, ill]
    anew = [node for node, text in audited(fresh) if "its agent followed plan" in text]
    assert sorted(anew) == [f"host={host}" for host in HOSTS]


async def test_a_first_fleet_begins_no_epoch_whatever_the_time_is(tmp_path: Path) -> None:
    clock = ManualClock(START + 95_000_000.0)
    async with (
        serving(tmp_path, clock, expect_hosts=3) as aggregator,
        Live(aggregator, clock, HOSTS) as live,
    ):
        await live.play(10, np.random.default_rng(1))
        assert pipeline(aggregator).planner.id > 95_000_000
    assert [t for _, t in audited(tmp_path) if "followed plan" in t or "were lost" in t] == []
