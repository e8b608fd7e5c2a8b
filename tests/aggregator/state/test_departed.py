from dataclasses import replace

from tessera.aggregator.state.departed import MOST_OF_A_HOST, Departed
from tessera.proto.messages import Inventory, PathNode, ShardRow

from ..agents import inventory

HOST = inventory("h0", shards=3)


def without(held: Inventory, *names: str) -> Inventory:
    return replace(held, shards=tuple(s for s in held.shards if s.id not in names))


def left(departed: Departed) -> dict[str, list[str]]:
    found = departed.inventories(["h0"])
    return {held.host: [shard.id for shard in held.shards] for held in found}


def test_shards_that_left_with_other_metrics_stand_apart() -> None:
    departed = Departed()
    departed.note(HOST, without(HOST, "h0-gpu-0"), 0.0)
    more = replace(without(HOST, "h0-gpu-0"), metrics=("power_watts", "step_time_seconds"))
    departed.note(more, without(more, "h0-gpu-1"), 1.0)
    assert left(departed) == {"h0 (gone)": ["h0-gpu-0"], "h0 (gone) (gone)": ["h0-gpu-1"]}
    metrics = [held.metrics for held in departed.inventories(["h0"])]
    assert metrics == [HOST.metrics, more.metrics]


def test_their_name_is_nobody_elses() -> None:
    departed = Departed()
    departed.note(HOST, without(HOST, "h0-gpu-0"), 0.0)
    (held,) = departed.inventories(["h0", "h0 (gone)"])
    assert held.host == "h0 (gone) (gone)"


def test_one_that_comes_back_has_not_left() -> None:
    departed = Departed()
    departed.note(HOST, without(HOST, "h0-gpu-0", "h0-gpu-1"), 0.0)
    departed.back(without(HOST, "h0-gpu-1"))
    assert left(departed) == {"h0 (gone)": ["h0-gpu-1"]}


def test_a_gpu_that_was_cut_into_slices_stands_above_them_and_not_beside() -> None:
    departed = Departed()
    path = (PathNode("h0", "host"), PathNode("h0-gpu-0", "gpu"))
    slices = (ShardRow("slice-0", "mig_slice", "h100-1g", "train", "worker", path),)
    after = replace(HOST, shards=(*HOST.shards[1:], *slices))
    departed.note(HOST, after, 0.0)
    departed.back(after)
    assert left(departed) == {}


def test_a_host_that_is_cut_anew_again_and_again_takes_no_more_than_its_share() -> None:
    departed = Departed()
    for i in range(MOST_OF_A_HOST + 5):
        row = replace(HOST.shards[0], id=f"slice-{i}")
        departed.note(replace(HOST, shards=(row,)), replace(HOST, shards=()), float(i))
    names = left(departed)["h0 (gone)"]
    assert len(names) == MOST_OF_A_HOST
    assert names[-1] == f"slice-{MOST_OF_A_HOST + 4}"


def test_the_place_that_a_shard_had_is_kept() -> None:
    departed = Departed()
    row = replace(HOST.shards[0], path=(PathNode("rack-1", "rack"),))
    departed.note(replace(HOST, shards=(row,)), replace(HOST, shards=()), 0.0)
    (held,) = departed.inventories(["h0"])
    assert held.shards == (row,)
