"""What a freeze does to the evidence of a fleet, and what it leaves alone."""

from dataclasses import replace

import numpy as np

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec, SyntheticFleet
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.state.standing import FROZEN
from tessera.engine.evalue import Validity
from tessera.proto.messages import Freeze

from .fleets import POWER, STEP_TIME, Hosts, hosts_of, step_times

RACK = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0))
FEWER = ("host-01-gpu-0", "host-01-gpu-1")


def playing(spec: FleetSpec, *faults: Fault, seed: int = 1) -> tuple[Hosts, SyntheticFleet]:
    made = SyntheticFleet(spec, seed, faults)
    return hosts_of(made, [STEP_TIME], hosts=2, horizon=2000.0), made


def push(*nodes: str, start: float = 300.0, until: float = 350.0) -> Freeze:
    return Freeze("push", nodes, start, until, "firmware", exogenous=True)


def between(hosts: Hosts, made: SyntheticFleet, start: int, stop: int) -> list[Transition]:
    done: list[Transition] = []
    for at in range(start, stop):
        done += hosts.tick(float(at), made.tick(at))
    return done


def test_a_frozen_row_keeps_its_evidence_to_the_last_bit_and_all_others_go_on() -> None:
    hosts, made = playing(RACK)
    between(hosts, made, 0, 300)
    hosts.pipeline.freeze(push(*FEWER, start=299.0))
    before = hosts.pipeline.log_m()
    between(hosts, made, 300, 340)
    after = hosts.pipeline.log_m()
    rows = [hosts.fleet.rows.index(name) for name in FEWER]
    np.testing.assert_array_equal(after[:, :, rows], before[:, :, rows])
    others = np.setdiff1d(np.arange(32), rows)
    assert (after[:, :, others] != before[:, :, others]).any(axis=(0, 1)).all()


def test_nothing_that_a_frozen_row_says_moves_its_peers() -> None:
    wild = [Fault(name, "*", "step", 3.0, 301, unit="fraction") for name in FEWER]
    found = []
    for faults in ([], wild):
        hosts, made = playing(RACK, *faults)
        between(hosts, made, 0, 300)
        hosts.pipeline.freeze(push(*FEWER, start=299.0))
        between(hosts, made, 300, 340)
        found.append(hosts.pipeline.log_m())
    np.testing.assert_array_equal(found[0], found[1])


def test_a_freeze_takes_no_class_from_the_group_and_the_family_stays_as_large() -> None:
    hosts, made = playing(RACK)
    between(hosts, made, 0, 60)
    hosts.pipeline.freeze(push(*FEWER, start=59.0, until=200.0))
    between(hosts, made, 60, 330)  # a loss would be noticed within 200 blocks
    planner = hosts.pipeline.planner
    assert planner.members.classes()[0, 0] == Validity.CONSTRUCTION
    assert planner.members.reliable()[0, 0] == 32
    assert hosts.pipeline.explain("host-01-gpu-0").bar == np.log(len(hosts.fleet.rows) / 0.1)


def test_after_it_the_rows_learn_all_but_their_offsets_in_a_new_epoch_and_the_audit_says_why() -> (
    None
):
    hosts, made = playing(RACK)
    between(hosts, made, 0, 300)
    hosts.pipeline.freeze(push(*FEWER, start=299.0))
    between(hosts, made, 300, 360)
    rows = [hosts.fleet.rows.index(name) for name in FEWER]
    learned = hosts.pipeline.standing().learned
    assert (learned[rows] < 65).all()  # 50 blocks of offsets stay
    assert (np.delete(learned, rows) == 200).all()
    said = [(a.kind, a.text) for a in hosts.said if "firmware" in a.text]
    assert ("freeze", "frozen: firmware") in said
    assert ("freeze", "over: firmware") in said
    assert any(kind == "epoch" and "frozen until now" in text for kind, text in said)


def test_the_screen_and_explain_say_frozen_and_until_when() -> None:
    hosts, made = playing(RACK)
    between(hosts, made, 0, 60)
    hosts.pipeline.freeze(push("host-01", start=59.0, until=100.0))
    between(hosts, made, 60, 70)
    standing = hosts.pipeline.standing()
    frozen = np.flatnonzero(standing.state == FROZEN)
    assert {hosts.fleet.rows[row] for row in frozen} == {
        *(f"host-01-gpu-{i}" for i in range(8)),
        "host-01",
    }
    assert standing.until is not None
    assert np.nanmax(standing.until) == 100.0
    assert hosts.pipeline.explain("host-01").why[0] == "frozen for 31 s more: firmware"
    between(hosts, made, 70, 110)
    assert not (hosts.pipeline.standing().state == FROZEN).any()


STILL = FleetSpec(
    shards=32, shards_per_host=8, hosts_per_rack=0, metrics=(MetricSpec("power_watts", 700.0, 8.0),)
)
WATTS = replace(POWER, fast=1, slow=5)
STEPPED = Fault("host-01-gpu-3", "power_watts", "step", 8.0, 320)


def firmware(*, frozen: bool) -> list[Transition]:
    """Return what is told when new firmware lets one shard draw eight sd more for good."""
    made = SyntheticFleet(STILL, 3, (STEPPED,))
    hosts = hosts_of(made, [WATTS], hosts=2, horizon=2000.0)
    done = between(hosts, made, 0, 315)
    if frozen:
        hosts.pipeline.freeze(push("host-01-gpu-3", start=315.0, until=330.0))
    return done + between(hosts, made, 315, 700)


def test_a_step_of_firmware_inside_a_freeze_names_nobody() -> None:
    assert firmware(frozen=True) == []


def test_the_same_step_without_the_freeze_names_the_shard() -> None:
    assert {(t.transition, t.node) for t in firmware(frozen=False)} == {("opened", "host-01-gpu-3")}


def test_what_an_agent_says_of_a_frozen_row_is_not_looked_at_even_if_it_was_never_told() -> None:
    hosts, made = playing(RACK)
    between(hosts, made, 0, 60)
    hosts.pipeline.freeze(push("host-00", start=59.0, until=100.0))
    between(hosts, made, 60, 61)
    told = hosts.pipeline.standing().learned[:8]
    between(hosts, made, 61, 90)
    np.testing.assert_array_equal(hosts.pipeline.standing().learned[:8], told)


def test_a_freeze_goes_on_when_the_fleet_is_another_one() -> None:
    hosts, made = playing(RACK)
    between(hosts, made, 0, 60)
    hosts.pipeline.freeze(push("host-01", start=59.0, until=100.0))
    between(hosts, made, 60, 65)
    hosts.carry(hosts.fleet)
    between(hosts, made, 65, 70)
    assert (hosts.pipeline.standing().state == FROZEN).sum() == 9
