from tessera.agent.facts import MOST, Facts


def test_a_fact_is_said_once_when_it_is_raised_and_once_when_it_clears() -> None:
    facts = Facts()
    raised = facts.say("driver_unresponsive", 5.0, stands=True, detail="nvml")
    assert raised is not None
    assert (raised.code, raised.detail, raised.at_ns, raised.cleared) == (
        *("driver_unresponsive", "nvml"),
        *(5_000_000_000, False),
    )
    assert facts.say("driver_unresponsive", 6.0, stands=True) is None
    assert list(facts.standing) == ["driver_unresponsive"]
    cleared = facts.say("driver_unresponsive", 7.0, stands=False)
    assert cleared is not None
    assert cleared.cleared
    assert cleared.id == raised.id + 1
    assert facts.say("driver_unresponsive", 8.0, stands=False) is None
    assert list(facts.standing) == []


def test_a_fact_of_one_shard_is_not_that_of_another() -> None:
    facts = Facts()
    assert facts.say("device_lost", 1.0, stands=True, shard="gpu-0") is not None
    assert facts.say("device_lost", 1.0, stands=True, shard="gpu-1") is not None


def test_facts_wait_until_they_are_stored() -> None:
    facts = Facts()
    for shard in ("a", "b", "c"):
        facts.say("device_lost", 1.0, stands=True, shard=shard)
    facts.stored([2, 99])
    assert [fact.shard for fact in facts] == ["a", "c"]


def test_of_too_many_facts_the_oldest_are_dropped_and_counted() -> None:
    facts = Facts()
    for i in range(MOST + 3):
        facts.say("device_lost", 1.0, stands=True, shard=f"gpu-{i}")
    waiting = [fact.shard for fact in facts]
    assert len(waiting) == MOST
    assert waiting[0] == "gpu-3"
    assert facts.dropped == 3


def test_a_fact_that_flaps_does_not_push_out_the_end_of_another() -> None:
    facts = Facts()
    facts.say("xid_79", 0.0, stands=True, shard="GPU-1")
    facts.say("xid_79", 1.0, stands=False, shard="GPU-1")
    for at in range(2, 2 * MOST):
        facts.say("driver_unresponsive", float(at), stands=at % 2 == 0)
    waiting = list(facts)
    assert len(waiting) == MOST
    assert [fact.cleared for fact in waiting if fact.shard == "GPU-1"] == [True]
    assert waiting[-1].at_ns == (2 * MOST - 1) * 10**9
    assert facts.dropped == MOST
