"""What one side holds, the other holds after the wire, bit for bit."""

from hypothesis import given
from hypothesis import strategies as st

from tessera.proto import decode, encode
from tessera.proto.messages import Down, Freeze, Inventory, Plan, RawTicks, Up1, Up2
from tessera.proto.schema import ingest

from .samples import downs, freezes, inventories, plans, raw_ticks, same, shapes, up1s, up2s

Shape = tuple[int, int]


@given(inventories())
def test_an_inventory_comes_back_as_it_was(inventory: Inventory) -> None:
    sent = encode.inventory(inventory).SerializeToString()
    assert same(decode.inventory(ingest.Inventory.FromString(sent)), inventory)


@given(plans())
def test_a_plan_of_one_host_comes_back_as_it_was(plan: Plan) -> None:
    sent = encode.plan(plan, list(plan.groups)).SerializeToString()
    assert same(decode.plan(ingest.Plan.FromString(sent)), plan)


@given(shapes.flatmap(lambda s: st.tuples(st.just(s), up1s(s))))
def test_block_values_come_back_as_they_were(drawn: tuple[Shape, Up1]) -> None:
    shape, up1 = drawn
    sent = encode.up1(up1).SerializeToString()
    assert same(decode.up1(ingest.Up1.FromString(sent), up1.host, shape), up1)


@given(shapes.flatmap(lambda s: st.tuples(st.just(s), downs(s))))
def test_summaries_come_back_as_they_were(drawn: tuple[Shape, tuple[Down, ...]]) -> None:
    shape, summaries = drawn
    sent = encode.downs(summaries).SerializeToString()
    assert same(decode.downs(ingest.Down.FromString(sent), shape), summaries)


@given(shapes.flatmap(lambda s: st.tuples(st.just(s), up2s(s))))
def test_evidence_comes_back_as_it_was(drawn: tuple[Shape, Up2]) -> None:
    shape, up2 = drawn
    sent = encode.up2(up2).SerializeToString()
    assert same(decode.up2(ingest.Up2.FromString(sent), up2.host, shape), up2)


@given(raw_ticks())
def test_raw_readings_come_back_as_they_were(ticks: RawTicks) -> None:
    sent = encode.raw_ticks(ticks, 3).SerializeToString()
    message = ingest.RawTicks.FromString(sent)
    assert message.id == 3
    assert same(decode.raw_ticks(message), ticks)


@given(freezes)
def test_a_freeze_comes_back_as_it_was(freeze: Freeze) -> None:
    sent = encode.freeze(freeze, freeze.nodes).SerializeToString()
    assert same(decode.freeze(ingest.Freeze.FromString(sent)), freeze)
