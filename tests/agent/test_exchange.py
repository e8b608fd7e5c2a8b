"""What is said again, and when."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tessera.adapters.base import Event
from tessera.adapters.catalogue import default_catalogue
from tessera.agent.checkpoint import Checkpoints
from tessera.agent.events import Events
from tessera.agent.exchange import MOST_REPEATED, PAST_SINCE, SETTLING, Desk, Exchange
from tessera.agent.facts import Facts
from tessera.agent.fold import Block
from tessera.agent.identity import Identity
from tessera.agent.intake import Intake
from tessera.agent.ledger import open_ledger
from tessera.agent.resurvey import Surveyed
from tessera.agent.ring import Ring
from tessera.agent.spool import REPEAT as REPEAT_HISTORY
from tessera.agent.spool import Spool
from tessera.proto import decode, encode
from tessera.proto.messages import Freeze, Inventory, ShardRow, Up1
from tessera.proto.schema import ingest
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, downs_of, plan_of
from .hosts import METRICS, SHARDS, STARTED

ROWS = tuple(ShardRow(name, "gpu_shard", "h200", "train", "") for name in SHARDS)
HOST = Inventory("host-0", 1, ROWS, METRICS)


def spooled(folder: Path, facts: Facts, clock: ManualClock, events: Events | None = None) -> Spool:
    spool = Spool(folder, 1 << 20, clock.monotonic)
    spool.load(clock.now(), facts, events or Events())
    return spool


def linked(
    folder: Path,
    facts: Facts,
    clock: ManualClock,
    spool: Spool | None = None,
    events: Events | None = None,
) -> tuple[Exchange, list[ingest.FromAgent]]:
    """Return an exchange that has just greeted, and what it sends from now on."""
    ledger = open_ledger(Checkpoints(folder), HOST, clock.now())
    catalogue = default_catalogue()
    intake = Intake(SHARDS, [catalogue.of(name) for name in METRICS])
    events = events or Events()
    spool = spool or spooled(folder, facts, clock, events)
    desk = Desk(ledger, intake, Ring(SHARDS, METRICS), facts, events, spool)
    exchange = Exchange(Identity("host-0", "", 1), HOST, desk, clock, "test")
    sent: list[ingest.FromAgent] = []

    def send(message: ingest.FromAgent) -> bool:
        sent.append(message)
        return True

    exchange.send = send
    assert len(list(exchange.greeting(ingest.Welcome()))) >= 1
    return exchange, sent


def beats(exchange: Exchange, clock: ManualClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1.0)
        exchange.beat()


def test_a_fact_that_nobody_stored_is_said_again_each_half_minute_until_somebody_has(
    tmp_path: Path,
) -> None:
    clock, facts = ManualClock(STARTED), Facts()
    fact = facts.say("driver_unresponsive", STARTED, stands=True)
    assert fact is not None
    exchange, sent = linked(tmp_path, facts, clock)
    beats(exchange, clock, 29)
    assert not any(message.HasField("fact") for message in sent)
    beats(exchange, clock, 40)
    assert [message.fact for message in sent if message.HasField("fact")] == [fact, fact]
    facts.stored([fact.id])
    told = len(sent)
    beats(exchange, clock, 60)
    assert {message.WhichOneof("body") for message in sent[told:]} == {"heartbeat"}


def test_facts_that_are_said_again_leave_room_for_block_values(tmp_path: Path) -> None:
    clock, facts = ManualClock(STARTED), Facts()
    for number in range(3 * MOST_REPEATED):
        facts.say(f"code-{number}", STARTED, stands=True)
    exchange, sent = linked(tmp_path, facts, clock)
    beats(exchange, clock, 35)
    again = [message.fact.code for message in sent if message.HasField("fact")]
    assert again == [f"code-{number}" for number in range(MOST_REPEATED)]


def offered(exchange: Exchange, blocks: Iterable[int]) -> list[Up1]:
    """Return what is offered of blocks with those numbers, all shards at 1."""
    x = np.ones((len(SHARDS), len(METRICS)), dtype=np.float32)
    return list(exchange.offer(Block(RUNG, index, x) for index in blocks))


def test_frozen_rows_are_said_and_not_eligible_while_a_freeze_covers_the_block(
    tmp_path: Path,
) -> None:
    exchange, _ = linked(tmp_path, Facts(), ManualClock(STARTED))
    exchange.take(ingest.FromAggregator(plan=encode.plan(plan_of(HOST), SHARDS)))
    first = int(STARTED) // RUNG
    freeze = Freeze("f", SHARDS[:1], RUNG * (first + 1.0), RUNG * (first + 3.0), "firmware")
    exchange.take(ingest.FromAggregator(freeze=encode.freeze(freeze, freeze.nodes)))
    told = offered(exchange, range(first, first + 4))
    frozen = [None if up1.frozen is None else up1.frozen.tolist() for up1 in told]
    mine = [True] + [False] * (len(SHARDS) - 1)
    assert frozen == [None, mine, mine, None]
    assert [bool(up1.eligible[0]) for up1 in told] == [True, False, False, True]
    assert all(up1.eligible[1:].all() for up1 in told)
    over = encode.freeze(replace(freeze, until=freeze.start), freeze.nodes)
    exchange.take(ingest.FromAggregator(freeze=over))
    assert [up1.frozen for up1 in offered(exchange, [first + 2])] == [None]


GONE = replace(HOST, version=2, shards=ROWS[1:])  # the first shard is gone by then
SURVEYED = Surveyed(GONE, tuple(default_catalogue().of(name) for name in METRICS))


def inventories(sent: Iterable[ingest.FromAgent]) -> list[tuple[int, bool]]:
    """Return the versions that were sent, and which were said to be former ones."""
    told = [m.inventory for m in sent if m.HasField("inventory")]
    return [(inventory.version, inventory.former) for inventory in told]


def planned(exchange: Exchange, inventory: Inventory, number: int = 1) -> None:
    plan = plan_of(inventory, number)
    told = encode.plan(plan, [s.id for s in inventory.shards], inventory.version)
    exchange.take(ingest.FromAggregator(plan=told))


def test_an_inventory_that_is_announced_is_followed_from_its_plan_on(tmp_path: Path) -> None:
    exchange, sent = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    exchange.announce(SURVEYED)
    assert inventories(sent) == [(2, False)]
    first = int(STARTED) // RUNG
    (up1,) = offered(exchange, [first])
    assert (up1.inventory, up1.x.shape) == (1, (5, 2))
    planned(exchange, HOST, 2)  # of the fleet as it was
    assert exchange.inventory == HOST
    planned(exchange, GONE, 3)
    assert exchange.inventory == GONE
    (up1,) = exchange.offer([Block(RUNG, first + 1, np.ones((4, 2), dtype=np.float32))])
    assert (up1.inventory, up1.plan, up1.x.shape) == (2, 3, (4, 2))


def test_of_what_is_gone_nothing_is_sent_while_its_successor_waits(tmp_path: Path) -> None:
    exchange, _ = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    exchange.announce(SURVEYED)
    (up1,) = offered(exchange, [int(STARTED) // RUNG])
    assert np.isnan(up1.x[0]).all()
    assert (up1.x[1:] == 1.0).all()


def test_a_plan_for_what_was_never_announced_is_not_obeyed(tmp_path: Path) -> None:
    exchange, _ = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    planned(exchange, GONE, 2)
    (up1,) = offered(exchange, [int(STARTED) // RUNG])
    assert (exchange.inventory, up1.plan) == (HOST, 1)


def test_a_new_link_hears_of_the_former_inventory_its_evidence_and_then_the_newest(
    tmp_path: Path,
) -> None:
    exchange, _ = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    (up1,) = offered(exchange, [int(STARTED) // RUNG])
    exchange.take(ingest.FromAggregator(down=encode.downs(downs_of(up1))))
    exchange.announce(SURVEYED)
    greeting = list(exchange.greeting(ingest.Welcome()))
    assert [m.WhichOneof("body") for m in greeting] == ["inventory", "up2", "inventory"]
    assert inventories(greeting) == [(1, True), (2, False)]
    assert greeting[1].up2.inventory == 1


def test_an_aggregator_that_needs_an_inventory_is_told_both(tmp_path: Path) -> None:
    exchange, sent = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    need = ingest.FromAggregator(need_inventory=ingest.NeedInventory(version=1))
    exchange.take(need)
    exchange.announce(SURVEYED)
    exchange.take(need)
    assert inventories(sent) == [(1, False), (2, False), (1, True), (2, False)]


def test_a_plan_that_leaves_out_a_shard_that_was_announced_is_refused(tmp_path: Path) -> None:
    exchange, _ = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    more = replace(HOST, version=2, shards=(*ROWS, replace(ROWS[0], id="gpu-9")))
    exchange.announce(replace(SURVEYED, inventory=more))
    short = encode.plan(plan_of(HOST, 2), SHARDS, 2)
    exchange.take(ingest.FromAggregator(plan=short))
    assert (exchange.refused, exchange.inventory, exchange.version) == (1, HOST, 2)
    planned(exchange, more, 3)
    assert exchange.inventory == more


def test_raw_ticks_of_what_stays_are_there_after_a_change(tmp_path: Path) -> None:
    exchange, sent = linked(tmp_path, Facts(), ManualClock(STARTED))
    planned(exchange, HOST)
    exchange.ring.push(STARTED, np.ones((5, 2)))
    exchange.announce(SURVEYED)
    planned(exchange, GONE, 2)
    for shard in SHARDS[:2]:
        asked = ingest.RawTicksRequest(id=1, shard=shard)
        exchange.take(ingest.FromAggregator(raw_ticks_request=asked))
    gone, there = (m.raw_ticks for m in sent if m.HasField("raw_ticks"))
    assert "has no shard" in gone.refused
    assert decode.raw_ticks(there).at.tolist() == [STARTED]


def test_an_inventory_without_a_plan_is_announced_again_each_half_minute(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    exchange, sent = linked(tmp_path, Facts(), clock)
    planned(exchange, HOST)
    exchange.announce(SURVEYED)
    beats(exchange, clock, 70)
    assert inventories(sent) == [(2, False)] * 3
    planned(exchange, GONE, 2)
    beats(exchange, clock, 70)
    assert len(inventories(sent)) == 3


def test_an_event_is_said_on_each_link_and_again_until_somebody_has_stored_it(
    tmp_path: Path,
) -> None:
    clock, events = ManualClock(STARTED), Events()
    exchange, sent = linked(tmp_path, Facts(), clock, events=events)
    event = events.say(Event("config_change", STARTED, "power_cap: 700 → 600"))
    beats(exchange, clock, 40)
    assert [message.event for message in sent if message.HasField("event")] == [event]
    greeting = list(exchange.greeting(ingest.Welcome()))
    assert [message.event for message in greeting if message.HasField("event")] == [event]
    exchange.take(ingest.FromAggregator(ack=ingest.Ack(events=[event.id])))
    assert list(events) == []


def with_past(
    folder: Path, clock: ManualClock, minor: int
) -> tuple[Exchange, Spool, list[ingest.FromAgent]]:
    """Return an exchange of two blocks without a link, one of a former inventory, and its words."""
    former = spooled(folder, Facts(), clock)
    former.follow(7, encode.inventory(replace(HOST, version=7)).SerializeToString())
    x = np.ones((len(SHARDS), len(METRICS)), dtype=np.float32)
    former.seal(Block(RUNG, 11, x), live=False)
    former.close()
    spool = spooled(folder, Facts(), clock)
    exchange, sent = linked(folder, Facts(), clock, spool)
    exchange.follow()
    spool.seal(Block(RUNG, 12, x), live=False)
    assert len(list(exchange.greeting(ingest.Welcome(minor=minor)))) >= 1
    assert spool.waiting == 2
    exchange.send_past()
    assert sent == []  # other hosts have come back too, and what is live goes first
    clock.advance(SETTLING)
    return exchange, spool, sent


def histories(sent: list[ingest.FromAgent]) -> list[tuple[int, bool, list[int]]]:
    """Return inventory, whether that is told, and blocks of all history that was sent."""
    told = [message.history for message in sent if message.HasField("history")]
    return [(h.inventory, h.HasField("told"), [b.block for b in h.blocks]) for h in told]


def test_history_is_sent_batch_by_batch_with_an_inventory_that_nobody_knows_any_more(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    exchange, _, sent = with_past(tmp_path, clock, PAST_SINCE)
    for number in (11, 12, 13):
        clock.advance(1.0)
        exchange.send_past()
        span = ingest.Span(rung=RUNG, from_block=number, to_block=number)
        exchange.take(ingest.FromAggregator(ack=ingest.Ack(blocks=[span])))
    assert histories(sent) == [(7, True, [11]), (HOST.version, False, [12])]
    assert sent[0].history.told.version == 7


def test_an_aggregator_that_knows_no_history_is_told_none(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    exchange, _, sent = with_past(tmp_path, clock, PAST_SINCE - 1)
    clock.advance(5.0)
    exchange.send_past()
    assert histories(sent) == []


def test_a_gap_is_told_until_somebody_has_stored_it(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    exchange, spool, sent = with_past(tmp_path, clock, PAST_SINCE)
    spool.stored([(RUNG, 0, 100)], [])
    spool.gaps.tell(RUNG, 3, 4, "spool full")
    for _ in range(2 * round(REPEAT_HISTORY)):
        clock.advance(1.0)
        exchange.send_past()
    gaps = [gap for message in sent for gap in message.history.gaps]
    assert [(gap.rung, gap.from_block, gap.to_block) for gap in gaps] == [(RUNG, 3, 4)] * 2
    exchange.take(ingest.FromAggregator(ack=ingest.Ack(gaps=[gaps[0].id])))
    told = len(sent)
    clock.advance(REPEAT_HISTORY)
    exchange.send_past()
    assert sent[told:] == []
