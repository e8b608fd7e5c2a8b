import json
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.jobs import Held
from tessera.adapters.slurm.show import (
    BadShow,
    Job,
    Node,
    devices_of,
    held_by,
    number_of,
    parse_jobs,
    parse_node_text,
    parse_nodes,
)

from .answers import (
    NEW_JOBS,
    NEW_NODES,
    NODES_LINES,
    NODES_TEXT,
    OLD_JOBS,
    OLD_NODES,
    SHARED,
    UNSET,
    needs_shared,
    number,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=10,
)
STATES = frozenset({"MIXED", "DRAIN", "NOT_RESPONDING"})


@pytest.mark.parametrize("answer", [OLD_NODES, NEW_NODES], ids=["22.05", "23.11"])
def test_trap_10_nodes_are_the_same_in_the_spellings_of_all_releases(answer: object) -> None:
    drained, idle = parse_nodes(answer)
    assert drained == Node("acc-07", STATES, "bad riser", 1790000000.0)
    assert idle == Node("acc-08", frozenset({"IDLE"}))


@pytest.mark.parametrize("answer", [OLD_JOBS, NEW_JOBS], ids=["22.05", "23.11"])
def test_trap_10_jobs_are_the_same_in_the_spellings_of_all_releases(answer: object) -> None:
    running, pending = parse_jobs(answer)
    assert (running.id, running.name, running.holds) == (4401, "train-a", True)
    assert running.nodes == ("acc-07", "acc-08")
    assert (pending.id, pending.holds, pending.nodes) == (4402, False, ())


@pytest.mark.parametrize("text", [NODES_TEXT, NODES_LINES], ids=["blocks", "lines"])
def test_trap_10_text_says_the_same_as_json(text: str) -> None:
    drained, idle = parse_node_text(text)
    assert (drained.name, drained.states, drained.reason) == ("acc-07", STATES, "bad riser")
    assert (idle.name, idle.states, idle.reason) == ("acc-08", frozenset({"IDLE"}), "")


def test_a_node_that_was_drained_is_told_from_one_that_is_down() -> None:
    assert Node("a", frozenset({"IDLE", "DRAIN"})).is_drained
    assert not Node("a", frozenset({"IDLE", "DRAIN"})).is_down
    assert Node("a", frozenset({"DOWN"})).is_down
    assert not Node("a", frozenset({"ALLOCATED"})).is_drained


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (7, 7.0),
        (number(7), 7.0),
        (UNSET, None),
        ({"set": False, "infinite": True, "number": 0}, inf),
        ({"set": True}, None),
        (4294967294, None),
        (number(4294967294), None),
        (-2, None),
        (True, None),
        ("7", None),
        (None, None),
    ],
)
def test_a_number_may_be_an_object_and_may_say_that_there_is_none(
    value: object, meant: float | None
) -> None:
    assert number_of(value) == meant


@pytest.mark.parametrize(
    ("gres", "devices"),
    [
        ("gpu:h100:4(IDX:0-2,7)", (0, 1, 2, 7)),
        ("gpu:(null):2(IDX:0-1)", (0, 1)),
        ("gpu:2(IDX:3,5)", (3, 5)),
        ("neuron:trn2:2(IDX:8-9)", (8, 9)),
        ("nic:1(IDX:0),gpu:a100:1(IDX:6)", (6,)),
        ("gpu:h100:8(S:0-1)", ()),
        ("gpu:h100:0(IDX:N/A)", ()),
        ("", ()),
    ],
)
def test_devices_are_the_indices_and_never_the_sockets(gres: str, devices: tuple[int, ...]) -> None:
    assert devices_of(gres) == devices


def test_a_job_holds_of_each_node_what_is_listed_at_its_place() -> None:
    jobs = parse_jobs(NEW_JOBS)
    first = [Held("slurm-4401", index) for index in ("0", "1", "2", "7")]
    assert list(held_by(jobs, "acc-07")) == first
    assert list(held_by(jobs, "acc-08")) == [Held("slurm-4401", "5")]
    assert held_by(jobs, "acc-09") == ()


def test_a_job_without_counted_devices_has_the_host_only_where_a_site_says_so() -> None:
    job = Job(9, "x", frozenset({"RUNNING"}), ("acc-07",))
    assert held_by([job], "acc-07") == ()
    assert held_by([job], "acc-07", whole=True) == (Held("slurm-9", unit="host"),)


@pytest.mark.parametrize("answer", [None, 3, "x", {}, {"errors": []}, {"nodes": 3, "jobs": {}}])
def test_an_answer_without_a_list_is_refused_in_one_line(answer: object) -> None:
    for parse in (parse_nodes, parse_jobs):
        with pytest.raises(BadShow) as refused:
            parse(answer)
        assert "\n" not in str(refused.value)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(NEW_JOBS["jobs"][0])), ANYTHING)))
def test_any_job_is_read_or_passed_over(jobs: list[dict[str, object]]) -> None:
    for job in parse_jobs({"jobs": jobs}):
        assert job.id > 0
        held_by([job], "acc-07", whole=True)


@given(
    st.lists(st.dictionaries(st.sampled_from(["name", "state", "reason", "boot_time"]), ANYTHING))
)
def test_any_node_is_read_or_passed_over(nodes: list[dict[str, object]]) -> None:
    for node in parse_nodes({"nodes": nodes}):
        assert node.name
        assert "\n" not in node.reason


@given(st.lists(st.sampled_from(["NodeName=", "State=", "Reason=", "a", "+*", " ", "\n", "[x]"])))
def test_any_text_holds_some_nodes_or_none(words: list[str]) -> None:
    for node in parse_node_text("".join(words)):
        assert node.name
        assert "\n" not in node.reason


@needs_shared
def test_real_answers_of_22_05_are_read() -> None:
    told = json.loads((SHARED / "sinfo_json_22.05_one_node.json").read_text(encoding="utf-8"))
    (node,) = parse_nodes(told)
    assert node.is_drained
    assert node.reason == "tessera test xid 79"
    job = json.loads((SHARED / "squeue_json_22.05_one_job.json").read_text(encoding="utf-8"))
    (pending,) = parse_jobs(job)
    assert (pending.id, pending.holds) == (1, False)
    text = (SHARED / "scontrol_o_show_nodes_22.05.txt").read_text(encoding="utf-8")
    assert [n.is_drained for n in parse_node_text(text)] == [False, True]
