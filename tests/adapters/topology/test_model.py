from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.topology.model import BadTopology, Edge, Node, Topology, kind_rank

RELATIONS = [
    ("contains", False),
    ("power_supply", False),
    ("powers", False),
    ("cooling", False),
    ("cools", False),
    ("powered_by", True),
    ("cooled_by", True),
]


def small() -> Topology:
    nodes = [Node("rack", "rack"), Node("psu", "psu"), Node("nic", "nic"), Node("pp0", "stage")]
    edges = [Edge("rack", "nic", "contains"), Edge("psu", "host-2", "power_supply")]
    for host in ("host-10", "host-2"):
        nodes += [Node(host, "host"), Node(f"{host}-gpu", "gpu_shard")]
        edges += [Edge("rack", host, "contains"), Edge(host, f"{host}-gpu", "contains")]
        edges.append(Edge("pp0", f"{host}-gpu", "contains"))
    edges.append(Edge("host-2-gpu", "host-10-gpu", "nvlink_peer"))
    return Topology(tuple(nodes), tuple(edges))


@pytest.mark.parametrize(("relation", "points_up"), RELATIONS)
def test_a_relation_of_containment_power_or_cooling_puts_one_node_beneath_the_other(
    relation: str, *, points_up: bool
) -> None:
    ends = ("gpu", "box") if points_up else ("box", "gpu")
    topology = Topology((Node("box", "psu"), Node("gpu", "gpu_shard")), (Edge(*ends, relation),))
    assert topology.beneath() == {"box": ("gpu",)}
    assert topology.children("box") == ("gpu",)
    assert topology.parents("gpu") == ("box",)


def test_neighbours_by_network_or_link_are_never_beneath_each_other() -> None:
    topology = small()
    assert topology.children("host-2-gpu") == ()
    assert "nic" not in topology.beneath()


def test_shards_beneath_follow_every_way_down_and_count_once() -> None:
    found = small().beneath()
    assert found["rack"] == found["pp0"] == ("host-2-gpu", "host-10-gpu")
    assert found["psu"] == ("host-2-gpu",)


def test_graph_order_compares_numbers_as_numbers() -> None:
    assert small().shards == ("host-2-gpu", "host-10-gpu")


def test_members_agree_with_beneath() -> None:
    topology = small()
    for name, shards in topology.beneath().items():
        assert topology.members(name) == shards
    assert topology.members("host-2-gpu") == ("host-2-gpu",)


def test_a_path_prefers_the_physical_home_over_the_stage() -> None:
    assert small().path("host-2-gpu") == ("rack", "host-2")


def test_logical_kinds_explain_after_physical_ones() -> None:
    assert kind_rank("rack") < kind_rank("stage") == kind_rank("job")


def test_a_gpu_cut_into_slices_is_an_inner_node() -> None:
    nodes = (Node("gpu", "gpu_shard"), Node("gpu/0", "mig_slice"), Node("gpu/1", "mig_slice"))
    edges = (Edge("gpu", "gpu/0", "contains"), Edge("gpu", "gpu/1", "contains"))
    topology = Topology(nodes, edges)
    assert topology.shards == ("gpu/0", "gpu/1")
    assert topology.beneath() == {"gpu": ("gpu/0", "gpu/1")}


def test_a_duplicate_id_is_refused_by_name() -> None:
    with pytest.raises(BadTopology, match=r"node 'a': its id occurs twice"):
        Topology((Node("a", "rack"), Node("a", "host")), ())


def test_an_edge_to_nowhere_is_refused_by_number_and_name() -> None:
    with pytest.raises(BadTopology, match=r"edge 1 \(a contains b\): there is no node 'b'"):
        Topology((Node("a", "rack"),), (Edge("a", "b", "contains"),))


def test_a_cycle_is_refused_and_shown() -> None:
    nodes = tuple(Node(name, "rack") for name in "abcd")
    ends = (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"))
    edges = tuple(Edge(above, below, "contains") for above, below in ends)
    with pytest.raises(BadTopology, match="lies beneath itself: a > b > c > a"):
        Topology(nodes, edges)


def test_a_cycle_of_two_relations_is_refused() -> None:
    edges = (Edge("rack", "zone", "contains"), Edge("zone", "rack", "cools"))
    with pytest.raises(BadTopology, match="beneath itself"):
        Topology((Node("rack", "rack"), Node("zone", "cooling_zone")), edges)


@given(st.randoms(use_true_random=False))
@settings(derandomize=True, max_examples=20, deadline=None)
def test_digest_and_graph_order_do_not_depend_on_the_order_of_a_file(random: object) -> None:
    topology = small()
    nodes, edges = list(topology.nodes), [*topology.edges, topology.edges[0]]
    random.shuffle(nodes)  # type: ignore[attr-defined] # a random.Random, untyped in hypothesis
    random.shuffle(edges)  # type: ignore[attr-defined] # as above
    shuffled = Topology(tuple(nodes), tuple(edges))
    assert shuffled.digest() == topology.digest()
    assert shuffled.shards == topology.shards
    assert list(shuffled.beneath().items()) == list(topology.beneath().items())


def test_digest_does_not_depend_on_the_order_of_metadata() -> None:
    one = Topology((Node("a", "rack", {"x": "1", "y": "2"}),), ())
    other = Topology((Node("a", "rack", {"y": "2", "x": "1"}),), ())
    assert one.digest() == other.digest()


def test_digest_changes_with_metadata_with_an_edge_and_with_a_kind() -> None:
    topology = small()
    described = replace(topology.nodes[0], metadata={"row": "7"})
    renamed = replace(topology.nodes[0], kind="pod")
    changed = [
        Topology((described, *topology.nodes[1:]), topology.edges),
        Topology((renamed, *topology.nodes[1:]), topology.edges),
        Topology(topology.nodes, topology.edges[1:]),
    ]
    assert len({topology.digest(), *(other.digest() for other in changed)}) == 4
