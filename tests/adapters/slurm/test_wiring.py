import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.slurm.hostlist import BadHostlist
from tessera.adapters.slurm.wiring import Wired, parse_wiring

from .answers import SHARED, needs_shared

TREE = """\
SwitchName=tor7 Level=0 LinkSpeed=1 Nodes=acc-[07-08]
SwitchName=top Level=1 LinkSpeed=1 Nodes=acc-[07-08] Switches=tor[7-8]
"""


def test_a_tree_is_told_switch_by_switch() -> None:
    leaf, top = parse_wiring(TREE)
    assert leaf == Wired("switch", "tor7", ("acc-07", "acc-08"), level=0)
    assert (top.level, top.switches) == (1, ("tor7", "tor8"))


@pytest.mark.parametrize(("end", "size"), [("", None), (" BlockSize=2", 2)])
def test_trap_10_a_block_is_read_whether_or_not_its_size_is_told(
    end: str, size: int | None
) -> None:
    (block,) = parse_wiring(f"BlockName=b3 BlockIndex=0 Nodes=acc-[07-08]{end}\n")
    assert block == Wired("block", "b3", ("acc-07", "acc-08"), size=size)


def test_blocks_of_blocks_and_rings_are_told_apart() -> None:
    blocks = "AggregatedBlock=b[3-4] BlockIndex=2 Nodes=n[1-4] BlockSize=4"
    above, ring = parse_wiring(f"{blocks}\nRingName=r Nodes=n1 RingSize=1")
    assert (above.kind, above.name, above.size) == ("aggregated_block", "b[3-4]", 4)
    assert (ring.kind, ring.nodes, ring.size) == ("ring", ("n1",), 1)


def test_lines_of_other_kinds_are_passed_over() -> None:
    torus = "TorusName=t Dims=2x2x2 Nodes=n[1-8]\n  TorusName=t PlacementDims=1x1x1(1) Anchors=8\n"
    assert (
        parse_wiring(f"$ scontrol show topology\n{torus}\nNo topology information available\n")
        == ()
    )


def test_nodes_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(BadHostlist):
        parse_wiring("SwitchName=s Level=0 LinkSpeed=1 Nodes=n[1-")


@given(st.lists(st.sampled_from(["SwitchName=", "Level=", "Nodes=", "a[1-2]", " ", "\n", "="])))
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    try:
        found = parse_wiring("".join(words))
    except BadHostlist:
        return
    assert all(wired.name for wired in found)


@needs_shared
def test_the_samples_are_read() -> None:
    found = {
        path.name: parse_wiring(path.read_text(encoding="utf-8"))
        for path in sorted(SHARED.glob("scontrol_show_topology_*"))
    }
    assert len(found) > 2
    assert all(found.values())
    assert all(w.nodes for wired in found.values() for w in wired)
