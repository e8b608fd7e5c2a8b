import pytest

from tessera.aggregator.ingest.bucket import Bucket
from tessera.aggregator.ingest.inbox import MOST_OF_A_HOST, Arrived, Inbox
from tessera.aggregator.ingest.liveness import Liveness, Turn
from tessera.aggregator.ingest.session import MOST_WAITING, Session
from tessera.proto.messages import Up1, Up2
from tessera.proto.schema import ingest
from tessera.settings.clock import ManualClock

from ..agents import START, inventory, up1, up2


def down(block: int) -> ingest.FromAggregator:
    return ingest.FromAggregator(down=ingest.Down(block=block))


def plan(number: int) -> ingest.FromAggregator:
    return ingest.FromAggregator(plan=ingest.Plan(id=number))


def session() -> Session:
    return Session("h0", 1, Bucket(1.0, 1.0, 0.0), lambda: None)


async def drained(of: Session) -> list[ingest.FromAggregator]:
    of.end()
    found = []
    while (message := await of.next()) is not None:
        found.append(message)
    return found


def test_tokens_come_back_with_time_and_never_beyond_the_burst() -> None:
    bucket = Bucket(2.0, 3.0, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_time_that_goes_back_gives_no_tokens() -> None:
    bucket = Bucket(1.0, 1.0, 10.0)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)


async def test_of_too_many_messages_the_oldest_summary_is_dropped_and_no_plan() -> None:
    slow = session()
    slow.send(plan(1))
    for block in range(MOST_WAITING + 9):
        slow.send(down(block))
    slow.send(plan(2))
    found = await drained(slow)
    assert [m.plan.id for m in found if m.HasField("plan")] == [1, 2]
    blocks = [m.down.block for m in found if m.HasField("down")]
    assert blocks == list(range(11, MOST_WAITING + 9))
    assert (slow.unread, slow.sent, slow.ended) == (11, MOST_WAITING, True)


async def test_an_agent_that_reads_no_plans_is_let_go() -> None:
    stuck = session()
    for number in range(MOST_WAITING):
        stuck.send(plan(number))
    assert not stuck.ended
    stuck.send(plan(MOST_WAITING))
    assert stuck.ended


async def test_what_waits_is_sent_before_the_last_word_and_nothing_after_it() -> None:
    ending = session()
    ending.send(plan(1))
    ending.end(ingest.FromAggregator(refused=ingest.Refused(reason="no")))
    ending.send(plan(2))
    assert [m.WhichOneof("body") for m in await drained(ending)] == ["plan", "refused"]


async def test_one_request_for_raw_ticks_is_under_way_at_a_time() -> None:
    asked = session()
    first = asked.ask_ticks("gpu", 0)
    assert first is not None
    assert asked.ask_ticks("gpu", 0) is None
    asked.answer_ticks(ingest.RawTicks(id=99, shard="gpu"))  # to nobody
    assert not first.done()
    asked.answer_ticks(ingest.RawTicks(id=1, shard="gpu"))
    assert (await first).id == 1
    second = asked.ask_ticks("gpu", 0)
    assert second is not None
    asked.end()
    assert second.cancelled()


@pytest.mark.parametrize("turned", [False, True])
def test_a_step_sees_messages_in_one_order_whoever_came_first(*, turned: bool) -> None:
    inbox = Inbox()
    messages: list[Up1 | Up2] = [
        *(up1(h, b, rung=r) for h in ("h1", "h0") for b in (3, 2) for r in (30, 5)),
        *(up2(h, 2) for h in ("h1", "h0")),
    ]
    for message in reversed(messages) if turned else messages:
        inbox.put(Arrived(inventory(message.host), message))
    found = [
        (type(a.message).__name__, a.message.rung, a.message.block, a.message.host)
        for a in inbox.drain()
    ]
    assert found == sorted(found)
    assert len(found) == 10
    assert len(inbox) == 0


def test_a_message_that_comes_again_is_there_once() -> None:
    inbox = Inbox()
    for log_m in (1.0, 2.0):
        inbox.put(Arrived(inventory("h0"), up2("h0", 1, log_m=log_m)))
    (found,) = inbox.drain()
    assert isinstance(found.message, Up2)
    assert found.message.level[0, 0] == 2.0


def test_a_host_that_goes_mad_fills_only_its_own_share() -> None:
    inbox = Inbox()
    kept = [inbox.put(Arrived(inventory("h0"), up1("h0", b))) for b in range(MOST_OF_A_HOST + 5)]
    assert sum(kept) == MOST_OF_A_HOST
    assert inbox.dropped == 5
    assert inbox.put(Arrived(inventory("h1"), up1("h1", 0)))
    inbox.drain()
    assert inbox.put(Arrived(inventory("h0"), up1("h0", 0)))


def test_a_host_is_silent_after_a_while_and_back_with_its_next_word() -> None:
    clock = ManualClock(START)
    liveness = Liveness(clock, 15.0)
    liveness.hear("h0")
    clock.advance(14.75)
    assert liveness.turns() == ()
    clock.advance(0.5)
    assert liveness.turns() == (Turn("h0", silent=True, seconds=15.25),)
    assert liveness.turns() == ()
    assert liveness.silent("h0")
    clock.advance(5.0)
    liveness.hear("h0")
    assert liveness.turns() == (Turn("h0", silent=False, seconds=20.25),)
    assert liveness.alive(["h0", "h1"]) == {"h0"}


def test_setting_the_clock_silences_nobody() -> None:
    clock = ManualClock(START)
    liveness = Liveness(clock, 15.0)
    liveness.hear("h0")
    clock.step(3600.0)
    assert liveness.turns() == ()


def test_a_host_of_the_last_run_is_silent_with_its_age_until_it_comes() -> None:
    clock = ManualClock(START)
    liveness = Liveness(clock, 15.0)
    liveness.remember("h0", START - 120.0)
    assert liveness.silent("h0")
    assert liveness.turns() == ()  # it did not fall silent now
    assert liveness.age("h0") == pytest.approx(120.0)
    assert liveness.gone(100.0) == ("h0",)
    liveness.hear("h0")
    assert [turn.silent for turn in liveness.turns()] == [False]
