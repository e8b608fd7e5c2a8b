from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.catalogue import Metric
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline
from tessera.aggregator.state.fleet import Fleet, build_fleet
from tessera.proto.messages import Inventory, ShardRow

from .fleets import POWER, STEP_TIME, Hosts, step_times

Floats = npt.NDArray[np.float64]

EIGHT = 8  # shards of a host
SPEC = step_times(FleetSpec(shards=48, shards_per_host=EIGHT, hosts_per_rack=0), phi=0.3)
SICK = "host-01-gpu-3"


@dataclass
class Cast:
    """The inventories of a synthetic fleet, and a way to play some of its hosts."""

    made: SyntheticFleet
    metrics: Sequence[Metric] = (STEP_TIME,)

    def inventory(self, host: int, *, job: str = "", version: int = 1) -> Inventory:
        names = self.made.names[host * EIGHT : (host + 1) * EIGHT]
        abouts = [(n, self.made.topology.node(n).metadata) for n in names]
        rows = tuple(
            ShardRow(n, "gpu_shard", about["sku"], job or about["job"], about["role"])
            for n, about in abouts
        )
        return Inventory(f"h{host}", version, rows, tuple(m.name for m in self.metrics))

    def fleet(self, *hosts: int) -> Fleet:
        return build_fleet([self.inventory(h) for h in hosts], self.made.topology, self.metrics)

    def hosts(self, *hosts: int) -> Hosts:
        inventories = [self.inventory(h) for h in hosts]
        return Hosts(self.made.topology, inventories, self.metrics, horizon=2000.0)


def cast(fault: str | None = SICK, *, missing: float = 0.02) -> Cast:
    faults = [Fault(fault, "*", "step", 0.12, 120, unit="fraction")] if fault else []
    return Cast(SyntheticFleet(replace(SPEC, missing=missing), 3, faults))


def play(
    hosts: Hosts, ticks: Floats, first: int, order: Sequence[str] | None = None
) -> list[Transition]:
    """Play ``ticks`` on from second ``first``; who is not in ``order`` is not heard."""
    done: list[Transition] = []
    for at, tick in enumerate(ticks, start=first):
        done += hosts.tick(float(at), tick, order)
    return done


def of_names(pipeline: Pipeline, names: Sequence[str]) -> Floats:
    rows = [pipeline.fleet.rows.index(name) for name in names]
    return pipeline.log_m()[:, :, rows]


def epochs(pipeline: Pipeline, names: Sequence[str]) -> npt.NDArray[np.int64]:
    rows = [pipeline.fleet.rows.index(name) for name in names]
    return pipeline.planner.parts().epochs[:, :, rows]


@given(st.integers(1, 299), st.integers(1, 2))
@settings(max_examples=3, deadline=None, derandomize=True)
def test_hosts_that_join_and_never_send_change_no_bit(cut: int, joining: int) -> None:
    made = cast()
    stays, grows = made.hosts(0, 1, 2, 3), made.hosts(0, 1, 2, 3)
    readings = made.made.ticks(0, 300)[:, :32]
    before = [play(hosts, readings[:cut], 0) for hosts in (stays, grows)]
    grows.carry(made.fleet(*range(4 + joining)))
    grows.pipeline.expect(stays.agents)
    after = [play(hosts, readings[cut:], cut) for hosts in (stays, grows)]
    assert before[0] == before[1]
    names = stays.fleet.rows
    np.testing.assert_array_equal(of_names(stays.pipeline, names), of_names(grows.pipeline, names))
    assert of_names(grows.pipeline, [SICK]).max() > 10.0
    assert [(t.node, t.id) for t in after[0]] == [(t.node, t.id) for t in after[1]]


@pytest.mark.parametrize("cut", [20, 230])
def test_hosts_that_never_sent_and_leave_change_no_bit(cut: int) -> None:
    made = cast()
    stays, shrinks = made.hosts(0, 1, 2, 3, 4, 5), made.hosts(0, 1, 2, 3, 4, 5)
    readings = made.made.ticks(0, 260)
    present = ("h0", "h2", "h3", "h5")
    for hosts in (stays, shrinks):
        hosts.pipeline.expect(present)
        play(hosts, readings[:cut], 0, present)
    shrinks.pipeline = shrinks.pipeline.carried(made.fleet(0, 2, 3, 5))
    shrinks.agents = {host: shrinks.agents[host] for host in present}
    for hosts in (stays, shrinks):
        play(hosts, readings[cut:], cut, present)
    names = [*(made.made.names[i] for i in np.r_[0:8, 16:32, 40:48]), "cluster"]
    one, other = (of_names(hosts.pipeline, names) for hosts in (stays, shrinks))
    np.testing.assert_array_equal(one, other)
    assert one.any()


def test_shards_that_were_there_go_on_when_a_host_joins_and_sends() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    readings = made.made.ticks(0, 300)
    play(hosts, readings[:200, :32], 0)
    held = of_names(hosts.pipeline, made.made.names[:32])
    hosts.carry(made.fleet(0, 1, 2, 3, 4), made.inventory(4))
    np.testing.assert_array_equal(of_names(hosts.pipeline, made.made.names[:32]), held)
    play(hosts, readings[200:, :40], 200)
    assert of_names(hosts.pipeline, [SICK]).max() > held.max() > 5.0
    assert not epochs(hosts.pipeline, made.made.names[:32]).any()


def test_a_host_that_joins_learns_from_an_epoch_of_its_own() -> None:
    made = cast(None)
    hosts = made.hosts(0, 1, 2, 3)
    readings = made.made.ticks(0, 90)
    play(hosts, readings[:60, :32], 0)
    hosts.carry(made.fleet(0, 1, 2, 3, 4), made.inventory(4))
    told = [a for a in hosts.said if a.kind == "epoch" and a.node == "host=h4"]
    assert [a.text.partition(": ")[2] for a in told] == ["it joined"]
    assert epochs(hosts.pipeline, made.made.names[32:40]).min() > 0
    play(hosts, readings[60:, :40], 60)
    assert hosts.pipeline.standing().learned[32:40].max() == 30
    assert hosts.pipeline.standing().learned[:32].max() == 90


def test_shards_that_change_their_job_begin_anew_and_the_audit_says_why() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3, 4, 5)
    play(hosts, made.made.ticks(0, 200), 0)
    held = of_names(hosts.pipeline, [SICK]).max()
    others = [made.inventory(h) for h in (1, 2, 3, 4, 5)]
    moved = [made.inventory(0, job="serve", version=2), *others]
    hosts.carry(build_fleet(moved, made.made.topology, made.metrics))
    told = [a.text for a in hosts.said if a.node == "host=h0"]
    assert any("job=serve" in text and "was" in text for text in told)
    assert not of_names(hosts.pipeline, made.made.names[:8]).any()
    assert of_names(hosts.pipeline, [SICK]).max() == held > 5.0


def test_a_verdict_on_a_shard_that_left_stays_open_and_comes_back_with_it() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3, 4, 5)
    play(hosts, made.made.ticks(0, 200), 0)
    before = hosts.pipeline.open_verdicts
    assert SICK in [v.node for v in before]
    hosts.carry(made.fleet(0, 2, 3, 4, 5))
    assert hosts.pipeline.open_verdicts == before
    said = {(a.kind, a.node, a.text) for a in hosts.said}
    assert ("fleet", SICK, "left the fleet") in said
    hosts.carry(made.fleet(0, 1, 2, 3, 4, 5))
    assert hosts.pipeline.open_verdicts == before
    hosts.tick(200.0, made.made.tick(200))
    assert hosts.fleet.rows.index(SICK) in hosts.pipeline.planner.held
    assert hosts.pipeline.explain(SICK).verdict == next(v for v in before if v.node == SICK)


def test_a_sick_shard_that_is_given_a_job_of_its_own_stays_open_and_the_others_go_on() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3, 4, 5)
    play(hosts, made.made.ticks(0, 200), 0)
    inventories = [made.inventory(h) for h in range(6)]
    moved = inventories[1]
    rows = [replace(row, job="debug") if row.id == SICK else row for row in moved.shards]
    inventories[1] = replace(moved, version=2, shards=tuple(rows))
    hosts.carry(build_fleet(inventories, made.made.topology, made.metrics), inventories[1])
    play(hosts, made.made.ticks(200, 230), 200)
    assert SICK in hosts.pipeline.open
    assert hosts.fleet.rows.index(SICK) in hosts.pipeline.planner.held
    well = [name for name in hosts.fleet.rows[:8] if name != SICK]
    assert (epochs(hosts.pipeline, well) >= 0).all()
    assert np.isfinite(of_names(hosts.pipeline, well)).all()


def test_a_metric_that_comes_begins_epochs_because_weights_may_not_move() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    play(hosts, made.made.ticks(0, 60)[:, :32], 0)
    both = Cast(made.made, (POWER, STEP_TIME))
    hosts.carry(both.fleet(0, 1, 2, 3))
    told = {a.node: a.text for a in hosts.said if a.kind == "epoch"}
    assert told["host=h2"].endswith("its metrics are others")
    weights = hosts.pipeline.planner.parts().weights[:, :, :32].sum(axis=(0, 1))
    np.testing.assert_allclose(weights, 1.0)


def test_a_metric_that_comes_to_one_host_moves_no_weight_of_the_others() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    readings = made.made.ticks(0, 200)[:, :32]
    play(hosts, readings[:160], 0)
    names = [n for n in made.made.names[:32] if not n.startswith("host-02-")]
    before = of_names(hosts.pipeline, names)
    inventories = [made.inventory(h) for h in range(4)]
    inventories[2] = replace(inventories[2], version=2, metrics=("power_watts", STEP_TIME.name))
    fleet = build_fleet(inventories, made.made.topology, (POWER, STEP_TIME))
    held = hosts.pipeline.planner.parts().weights
    hosts.pipeline = hosts.pipeline.carried(fleet)
    said = hosts.pipeline.step(160.0, ()).audit
    begun = [a.node for a in said if a.kind == "epoch"]
    assert "host=h2" in begun
    assert not {"host=h0", "host=h1", "host=h3"} & set(begun)
    after = of_names(hosts.pipeline, names)
    np.testing.assert_array_equal(after[:, 1], before[:, 0])
    assert before.any()
    rows = [hosts.pipeline.fleet.rows.index(name) for name in names]
    weights = hosts.pipeline.planner.parts().weights
    np.testing.assert_array_equal(weights[:, 1, rows], held[:, 0, rows])
    assert not weights[:, 0, rows].any()


def read_otherwise(made: Cast, *hosts: int) -> Fleet:
    """Return a fleet of four hosts of which some read their metric in another way."""
    ways = {h: "s, v2" if h in hosts else "s" for h in range(4)}
    inventories = [replace(made.inventory(h), schemas=(ways[h],)) for h in range(4)]
    return build_fleet(inventories, made.made.topology, made.metrics)


def test_a_metric_that_a_host_reads_otherwise_begins_an_epoch_there_and_says_how() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    hosts.carry(read_otherwise(made))
    play(hosts, made.made.ticks(0, 160)[:, :32], 0)
    hosts.said.clear()
    before = of_names(hosts.pipeline, made.made.names[:32])
    hosts.carry(read_otherwise(made, 2))
    told = {a.node: a.text.partition(": ")[2] for a in hosts.said if a.kind == "epoch"}
    assert told == {
        "host=h2": "step_time_seconds is s, v2 now, it was s",
        "host-02": "half of its shards are measured otherwise",
    }
    after = of_names(hosts.pipeline, made.made.names[:32])
    there = np.array([name.startswith("host-02-") for name in made.made.names[:32]])
    np.testing.assert_array_equal(after[:, :, ~there], before[:, :, ~there])
    assert before[:, :, there].any()
    assert not after[:, :, there].any()
    again = epochs(hosts.pipeline, [f"host-02-gpu-{i}" for i in range(8)])
    assert again.min() == again.max() > 0
    plan = hosts.pipeline.planner.plan()
    assert {name: sorted(of) for name, of in plan.metric_epochs.items()} == {
        f"host-02-gpu-{i}": ["step_time_seconds"] for i in range(8)
    }


def test_a_node_half_of_whose_shards_are_measured_otherwise_learns_anew() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    hosts.carry(read_otherwise(made))
    hosts.said.clear()
    hosts.carry(read_otherwise(made, 0, 1))
    said = [a.node for a in hosts.said if a.kind == "epoch" and "half of" in a.text]
    assert said == ["host-00", "host-01", "cluster"]
    assert (hosts.pipeline.planner.born() > 0).sum() == 3


def test_a_schema_that_nobody_told_before_is_not_another_one() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    hosts.said.clear()
    hosts.carry(read_otherwise(made, 2))
    assert [a for a in hosts.said if a.kind == "epoch"] == []


def test_the_plan_and_its_numbers_go_on() -> None:
    made = cast()
    hosts = made.hosts(0, 1, 2, 3)
    play(hosts, made.made.ticks(0, 260)[:, :32], 0)
    before, last = hosts.pipeline.planner, hosts.pipeline.planner.epochs.last
    cells = {before.change.name(c): (c.phi, c.kappa, c.rung) for c in before.change.cells.values()}
    hosts.carry(made.fleet(0, 1, 2, 3, 4))
    after = hosts.pipeline.planner
    assert after.id == before.id + 1  # the carried plan went out
    assert after.epochs.last > last
    for cell in after.change.cells.values():
        if after.change.name(cell) in cells:
            was = cells[after.change.name(cell)]
            np.testing.assert_equal((cell.phi, cell.kappa, cell.rung), was)
    assert not np.isnan(after.change.cells[0, 0, 0].phi)


@pytest.mark.parametrize("sends", [True, False])
def test_a_group_that_grows_has_its_better_class_only_once_its_members_were_counted(
    *, sends: bool
) -> None:
    made = cast(None, missing=0.0)
    hosts = made.hosts(0, 1)  # sixteen: the change channel may rank, the level channel claim
    readings = made.made.ticks(0, 300)
    play(hosts, readings[:40, :16], 0)
    joined = [made.inventory(h) for h in (2, 3)] if sends else []
    hosts.carry(made.fleet(0, 1, 2, 3), *joined)
    if not sends:
        hosts.pipeline.expect(["h0", "h1"])
    assert hosts.pipeline.planner.members.needed()[0, 0] == 16
    play(hosts, readings[40:, : 32 if sends else 16], 40)
    assert hosts.pipeline.planner.members.needed()[0, 0] == (32 if sends else 16)
    begun = [a for a in hosts.said if a.kind == "epoch" and "a better class" in a.text]
    assert bool(begun) == sends


def test_nodes_that_come_or_have_other_siblings_are_heard_in_their_new_epoch() -> None:
    made = cast("host-05", missing=0.0)
    hosts = made.hosts(0, 1, 2, 3)
    readings = made.made.ticks(0, 240)
    play(hosts, readings[:60, :32], 0)
    hosts.carry(made.fleet(0, 1, 2, 3, 4, 5), made.inventory(4), made.inventory(5))
    opened = play(hosts, readings[60:], 60)
    assert "host-05" in {t.node for t in opened}
    assert epochs(hosts.pipeline, ["host-05"]).min() > 0
