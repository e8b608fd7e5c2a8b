import json
from pathlib import Path

import pytest

from tessera.adapters.topology.model import BadTopology, Edge, Node, Topology
from tessera.adapters.topology.static import (
    StaticTopologySource,
    read_topology,
    topology_from,
    write_topology,
)

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    nodes = (Node("host", "host"), Node("gpu", "gpu_shard", {"sku": "h100", "job": "ä"}))
    topology = Topology(nodes, (Edge("host", "gpu", "contains"),))
    write_topology(topology, tmp_path / "t.json")
    assert read_topology(tmp_path / "t.json") == topology
    again = read_topology(tmp_path / "t.json")
    write_topology(again, tmp_path / "u.json")
    assert (tmp_path / "u.json").read_bytes() == (tmp_path / "t.json").read_bytes()


def test_an_empty_topology_is_written_and_read(tmp_path: Path) -> None:
    write_topology(Topology((), ()), tmp_path / "t.json")
    assert read_topology(tmp_path / "t.json") == Topology((), ())


def test_a_source_reads_its_file_at_each_fetch(tmp_path: Path) -> None:
    source = StaticTopologySource(tmp_path / "t.json")
    write_topology(Topology((Node("a", "rack"),), ()), tmp_path / "t.json")
    before = source.fetch()
    write_topology(Topology((Node("b", "rack"),), ()), tmp_path / "t.json")
    assert before != source.fetch()


def test_unknown_keys_are_ignored_and_the_service_name_is_kept(tmp_path: Path) -> None:
    node = {"id": "a", "kind": "rack", "service_name": "A", "colour": "red", "metadata": {"u": 42}}
    document = {"nodes": [node], "edges": [], "fetched_at_ts": 0}
    (tmp_path / "t.json").write_text(json.dumps(document))
    assert read_topology(tmp_path / "t.json").node("a").metadata == {
        "u": "42",
        "service_name": "A",
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[]", "t.json: document: is not an object;"),
        ('{"nodes": [],\n"edges": }', "t.json: line 2: is not JSON (Expecting value);"),
        ('{"edges": []}', "t.json: nodes: is not a list;"),
        ('{"nodes": [], "edges": 3}', "t.json: edges: is not a list;"),
        ('{"nodes": [7], "edges": []}', "t.json: node 1: is not an object;"),
        ('{"nodes": [{"kind": "rack"}], "edges": []}', "t.json: node 1: has no 'id';"),
        ('{"nodes": [{"id": "", "kind": "rack"}], "edges": []}', "t.json: node 1: has no 'id';"),
        ('{"nodes": [{"id": "a"}], "edges": []}', "t.json: node 1: has no 'kind';"),
        ('{"nodes": [], "edges": ["a"]}', "t.json: edge 1: is not an object;"),
        ('{"nodes": [], "edges": [{"from": "a"}]}', "t.json: edge 1: has no 'to';"),
        (
            '{"nodes": [{"id": "a", "kind": "b", "metadata": {"c": []}}], "edges": []}',
            "t.json: node 1 (a): its metadata 'c' is not text;",
        ),
        (
            '{"nodes": [{"id": "a", "kind": "b", "metadata": 3}], "edges": []}',
            "t.json: node 1 (a): its metadata is not an object;",
        ),
        (
            '{"nodes": [{"id": "a", "kind": "b"}, {"id": "a", "kind": "b"}], "edges": []}',
            "t.json: node 'a': its id occurs twice;",
        ),
    ],
)
def test_a_fault_is_one_line_with_file_place_and_remedy(
    tmp_path: Path, text: str, line: str
) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(BadTopology) as caught:
        read_topology(tmp_path / "t.json")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadTopology, match=r"^t\.json: is missing; put one into "):
        read_topology(tmp_path / "t.json")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTopology, match=r"^t\.json: is not UTF-8 text"):
        read_topology(tmp_path / "t.json")


@needs_data
def test_one_rack_of_gb200_has_its_trays_supplies_and_cooling_zone() -> None:
    topology = read_topology(DATA / "topology-gb200-nvl72-72gpu.json")
    found = topology.beneath()
    assert (len(topology.nodes), len(topology.edges), len(topology.shards)) == (217, 1026, 72)
    assert len(found["rack-0"]) == len(found["rack-0-cz-0"]) == 72
    supplies = [found[f"rack-0-psu-{i}"] for i in range(8)]
    assert sorted(len(shards) for shards in supplies) == [8, 8, 8, 8, 8, 8, 12, 12]
    assert sorted(sum(supplies, ())) == sorted(topology.shards)
    assert len(found) == 1 + 1 + 8 + 18  # no switches, processors or network cards


@needs_data
def test_ten_racks_of_gb200_hold_72_shards_each() -> None:
    topology = read_topology(DATA / "topology-gb200-nvl72-720gpu.json")
    found = topology.beneath()
    racks = [node.id for node in topology.nodes if node.kind == "rack"]
    assert [len(found[rack]) for rack in racks] == [72] * 10
    assert found["cluster-0"] == topology.shards
    assert topology.shards[:72] == found["cluster-0-pod-0-rack-0"]
    assert topology.path(topology.shards[0])[0] == "cluster-0"


@pytest.mark.parametrize("name", ["a\nb", "a\ud800", "\x00"])
def test_a_name_that_no_line_can_tell_is_refused(name: str) -> None:
    node = {"id": name, "kind": "gpu_shard"}
    with pytest.raises(BadTopology, match=r"^node 1: its 'id' [^\n]* write it as plain text$"):
        topology_from({"nodes": [node], "edges": []})


def test_metadata_that_no_line_can_tell_is_refused() -> None:
    node = {"id": "a", "kind": "gpu_shard", "metadata": {"role": "x\ny"}}
    with pytest.raises(BadTopology, match=r"^node 1 \(a\): its 'role' 'x\\ny' holds a control"):
        topology_from({"nodes": [node], "edges": []})
