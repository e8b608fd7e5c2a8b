"""Open verdicts on the wire: what is told to whom, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isnan, nan

import pytest

from tessera.proto import encode
from tessera.proto.held import held, held_rows, rounded_down, told
from tessera.proto.messages import Held, HeldNote, Plan
from tessera.proto.pack import BadMessage
from tessera.proto.schema import ingest

from .samples import an_up2

OPEN = Held(7, 1200.0, "level", "step_time_seconds", 5, 240)
NOTE = HeldNote(1, 7, 2, 90.0, 1.5, 0.02, 0.05, inf)


def plan() -> ingest.Plan:
    rows = {"a": "g", "b": "g"}
    whole = Plan(1, rows, rows, {"g": (3, 3)}, (), (), 9.0, held={"b": OPEN, "of another": OPEN})
    return encode.plan(whole, ["a", "b"])


def up2() -> ingest.Up2:
    return encode.up2(replace(an_up2(), held=(NOTE,)))


def test_a_host_is_told_of_its_own_held_shards_only() -> None:
    assert [row.shard for row in plan().held] == ["b"]
    assert held_rows(plan()) == {"b": OPEN}
    assert held({"b": OPEN}, ["a"]) == []


def test_an_onset_that_is_not_known_stays_so() -> None:
    message = plan()
    message.held[0].since_seconds = nan
    assert isnan(held_rows(message)["b"].since)


def test_how_a_verdict_goes_on_comes_back_as_it_was_sent() -> None:
    assert told(up2(), 3) == (NOTE,)


@pytest.mark.parametrize("log_m", [0.1, 1 / 3, -2.7, 12345.678])
def test_evidence_is_never_rounded_up(log_m: float) -> None:
    assert rounded_down(log_m) <= log_m
    assert rounded_down(log_m) == pytest.approx(log_m, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda m: setattr(m.held[0], "shard", "c"), "Held.shard: 'c' is not of the plan"),
        (lambda m: m.held.extend(list(m.held)), "Plan.held: has 'b' twice"),
        (lambda m: setattr(m.held[0], "channel", "fact"), "Held.channel: 'fact' is neither"),
        (lambda m: setattr(m.held[0], "rung", 4), "Held.rung: 4 s is none"),
        (lambda m: setattr(m.held[0], "opened", -2), "Held.opened: -2 is no block"),
        (lambda m: setattr(m.held[0], "since_seconds", inf), "Held.since_seconds: inf"),
        (lambda m: setattr(m.held[0], "metric", "x" * 9999), "Held.metric: "),
        (lambda m: setattr(m.held[0], "verdict", 2**63), "Held.verdict: 92233720"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(change: Callable[[ingest.Plan], None], line: str) -> None:
    message = plan()
    change(message)
    with pytest.raises(BadMessage) as caught:
        held_rows(message)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda m: setattr(m.held[0], "row", 3), "HeldNote.row: 3 is none of 3 shards"),
        (lambda m: m.held.extend(list(m.held)), "Up2.held: has 1 twice"),
        (lambda m: setattr(m.held[0], "turns", 2_000_000), "HeldNote.turns: is 2000000"),
        (lambda m: setattr(m.held[0], "verdict", 2**63), "HeldNote.verdict: 92233720"),
        (lambda m: setattr(m.held[0], "lasted_seconds", -1.0), "HeldNote.lasted_seconds: -1"),
        (lambda m: setattr(m.held[0], "lasted_seconds", nan), "HeldNote.lasted_seconds: nan"),
        (lambda m: setattr(m.held[0], "log_m", 2e6), "HeldNote.log_m: 2e+06"),
        (lambda m: setattr(m.held[0], "log_m", nan), "HeldNote.log_m: nan"),
        (lambda m: setattr(m.held[0], "low", 1.0), "HeldNote.middle: (1, 0.05, inf) is no band"),
        (lambda m: setattr(m.held[0], "low", nan), "HeldNote.middle: (nan, 0.05, inf)"),
        (lambda m: setattr(m.held[0], "middle", inf), "HeldNote.middle: (0.02, inf, inf)"),
    ],
)
def test_a_note_that_cannot_be_is_refused(change: Callable[[ingest.Up2], None], line: str) -> None:
    message = up2()
    change(message)
    with pytest.raises(BadMessage) as caught:
        told(message, 3)
    assert str(caught.value).startswith(line)
