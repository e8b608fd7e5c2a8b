from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from tessera.aggregator.decide.lives import Effect
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.publish.view import Encoded, HostNote, Moment, Shown, Views
from tessera.aggregator.state.fleet import Fleet, build_fleet
from tessera.aggregator.state.standing import Standing
from tessera.proto.messages import Inventory
from tessera.proto.schema import console

from ..fleets import STEP_TIME, tree, worker

TOPOLOGY = tree(2, 2, 2)
HOSTS = ("host-0-0", "host-0-1", "host-1-0", "host-1-1")
OPENED = Transition(
    transition="opened",
    node="gpu-0-0-1",
    level="shard",
    channel="level",
    guarantee="ranked",
    validity_class="empirical",
    log_e=12.5,
    at=100.0,
    since=nan,
    metrics=("step_time_seconds",),
    reason="it is out of family",
    id="v1",
)


def fleet() -> Fleet:
    inventories = [
        Inventory(h, 1, tuple(worker(s) for s in TOPOLOGY.members(h)), ("step_time_seconds",))
        for h in HOSTS
    ]
    return build_fleet(inventories, TOPOLOGY, [STEP_TIME])


def standing(of: Fleet, log_e: float = 1.0) -> Standing:
    rows = len(of.rows)
    return Standing(
        np.zeros(rows, dtype=np.uint8),
        np.arange(of.shard_count, dtype=np.uint8),
        np.full(rows, log_e),
    )


def moment(of: Fleet) -> Moment:
    notes = tuple(HostNote(host, 1.5, silent=False) for host in HOSTS)
    return Moment(at=100.25, standing=standing(of), hosts=notes, plan=3, decided=100.0)


def made(views: Views, what: Moment) -> console.View:
    return console.View.FromString(views.make(what).for_reader(0))


@pytest.fixture
def views() -> Views:
    laid_out = Views("alpha", "simulated", 0.1)
    laid_out.lay_out(fleet(), TOPOLOGY)
    return laid_out


def test_before_there_is_a_fleet_a_view_says_how_many_hosts_are_waited_for() -> None:
    view = made(Views("alpha", "live", 0.1), Moment(at=1.0, standing=None, waiting_hosts=5))
    assert (view.waiting_hosts, view.layout_version, view.state) == (5, 0, b"")
    assert (view.cluster, view.clock, view.q, view.sequence) == ("alpha", "live", 0.1, 1)


def test_rows_say_what_contains_them_and_who_reports_them(views: Views) -> None:
    layout = made(views, moment(fleet())).layout
    by_id = {row.id: row for row in layout.rows}
    above = {name: layout.rows[row.parent - 1].id for name, row in by_id.items() if row.parent}
    assert layout.shards == 8
    assert above["gpu-0-1-1"] == "host-0-1"
    assert above["host-0-1"] == "rack-0"
    assert above["rack-0"] == "cluster"
    assert by_id["cluster"].parent == 0
    assert by_id["gpu-1-0-0"].host == "host-1-0"
    assert by_id["host-1-0"].host == ""
    assert by_id["rack-1"].kind == "rack"


def test_every_row_has_its_state_and_evidence_and_every_shard_what_it_learned(
    views: Views,
) -> None:
    of = fleet()
    view = made(views, moment(of))
    assert view.state == bytes(len(of.rows))
    assert np.frombuffer(view.log_e, "<f2").tolist() == [1.0] * len(of.rows)
    assert list(view.learned) == list(range(8))
    assert view.hypotheses == len(of.rows)
    assert (view.plan, view.at_ns, view.decided_ns) == (3, 100_250_000_000, 100_000_000_000)


@pytest.mark.parametrize("log_e", [0.1, 12.3456789, -0.1, 1e9])
def test_evidence_is_rounded_down(views: Views, log_e: float) -> None:
    view = made(views, replace(moment(fleet()), standing=standing(fleet(), log_e)))
    shown = np.frombuffer(view.log_e, "<f2").astype(np.float64)
    assert (shown <= log_e).all()
    assert shown[0] > log_e - 0.02 or log_e > 60_000


def test_shards_of_a_silent_host_are_shown_as_silent_whatever_they_were(views: Views) -> None:
    of = fleet()
    notes = [HostNote(h, 99.0, silent=h == "host-0-0") for h in HOSTS]
    view = made(views, replace(moment(of), hosts=notes))
    silent = {of.rows[i] for i, state in enumerate(view.state) if state == console.SILENT}
    assert silent == {"gpu-0-0-0", "gpu-0-0-1", "host-0-0"}
    first = view.hosts[0]
    assert (first.name, first.silent, first.shards) == ("host-0-0", True, 2)
    assert first.heard_seconds == 99.0


def test_a_rack_is_silent_when_all_beneath_it_are(views: Views) -> None:
    of = fleet()
    notes = [HostNote(h, 99.0, silent=h.startswith("host-1")) for h in HOSTS]
    view = made(views, replace(moment(of), hosts=notes))
    silent = {of.rows[i] for i, state in enumerate(view.state) if state == console.SILENT}
    assert "rack-1" in silent
    assert "cluster" not in silent


def test_a_shard_that_has_left_is_shown_as_gone(views: Views) -> None:
    of = fleet()
    view = made(views, replace(moment(of), gone=frozenset({"gpu-0-0-1"})))
    assert view.state[of.rows.index("gpu-0-0-1")] == console.GONE


def test_a_verdict_says_everything_and_claims_no_cause(views: Views) -> None:
    view = made(views, replace(moment(fleet()), open=[Shown(OPENED, opened=90.0)]))
    (verdict,) = view.open
    assert (verdict.id, verdict.node, verdict.state) == ("v1", "gpu-0-0-1", "open")
    assert (verdict.opened_ns, verdict.since_ns) == (90 * 10**9, 0)
    assert verdict.correlational_not_causal


EFFECT = Effect(-inf, 10.0, 12.5, "%", "step_time_seconds", "construction")


def test_a_verdict_says_how_large_it_is_by_now_and_since_when_it_recovers(views: Views) -> None:
    last = replace(OPENED, state="recovering", turned=95.0)
    shown = replace(moment(fleet()), open=[Shown(last, opened=90.0)], effects={"v1": EFFECT})
    (verdict,) = made(views, shown).open
    assert (verdict.state, verdict.state_since_ns) == ("recovering", 95 * 10**9)
    effect = verdict.effect
    assert (effect.low, effect.middle, effect.high) == (-inf, 10.0, 12.5)
    assert (effect.unit, effect.metric, effect.validity_class) == (
        "%",
        "step_time_seconds",
        "construction",
    )


def test_a_verdict_of_which_nothing_was_seen_since_has_no_effect(views: Views) -> None:
    view = made(views, replace(moment(fleet()), open=[Shown(OPENED, opened=90.0)]))
    assert not view.open[0].HasField("effect")


def test_a_reader_who_has_the_layout_does_not_get_it_again(views: Views) -> None:
    encoded = views.make(moment(fleet()))
    assert encoded.for_reader(1) == encoded.view
    assert not console.View.FromString(encoded.for_reader(1)).HasField("layout")
    assert console.View.FromString(encoded.for_reader(7)).HasField("layout")


def test_another_fleet_has_another_layout(views: Views) -> None:
    views.lay_out(fleet(), TOPOLOGY)
    first, second = views.make(moment(fleet())), views.make(moment(fleet()))
    assert isinstance(first, Encoded)
    assert (first.layout_version, second.layout_version) == (2, 2)
    numbers = [console.View.FromString(v.view).sequence for v in (first, second)]
    assert numbers == [1, 2]
