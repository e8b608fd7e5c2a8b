import numpy as np
import pytest

from tessera.proto.schema import console
from tessera.tui import decode
from tessera.tui.arrange import Arrangement, arrange
from tessera.tui.canvas import elsewhere, paint
from tessera.tui.marks import Mark, marks
from tessera.tui.view import View

from .scene import layout, verdict, view
from .scripted import decoded

SMALL = layout(racks=2, hosts=2, gpus=4)


def drawn(seen: View, width: int = 16, height: int = 20, *, ascii_only: bool = False) -> str:
    return paint(arrange(seen.layout, width, height), marks(seen), ascii_only=ascii_only).text()


def places(arranged: Arrangement) -> set[tuple[int, int]]:
    return set(zip(arranged.line.tolist(), arranged.column.tolist(), strict=True))


def test_each_state_has_its_glyph() -> None:
    seen = decoded(view(SMALL, states={1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 99}))
    assert drawn(seen).splitlines()[0].split("  ", 1)[1] == "·~·· ×*"


def test_plain_glyphs_tell_an_abstention_from_quiet() -> None:
    seen = decoded(view(SMALL, states={1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}))
    assert drawn(seen, ascii_only=True).splitlines()[0] == "r00  .~,, x* ."


def test_evidence_rises_in_eight_steps_from_a_quarter_of_the_bar() -> None:
    bar = decoded(view(SMALL)).bar
    shares = [0.24, 0.26, 0.36, 0.45, 0.55, 0.64, 0.74, 0.83, 0.93, 1.2]
    seen = decoded(view(SMALL, evidence={i: bar * s for i, s in enumerate(shares)}))
    assert marks(seen)[:10].tolist() == [Mark.QUIET, *range(5, 13), Mark.STRONGEST]


@pytest.mark.parametrize(("state", "shown"), [(1, True), (2, True), (4, False), (5, False)])
def test_evidence_is_shown_while_a_shard_learns_and_not_once_it_is_old(
    state: int, *, shown: bool
) -> None:
    seen = decoded(view(SMALL, states={0: state}, evidence={0: 50.0}))
    assert bool(marks(seen)[0] == Mark.STRONGEST) is shown


def test_an_open_verdict_hides_everything_else() -> None:
    verdicts = [
        verdict("r00-h0-gpu0"),
        verdict("r00-h0-gpu1", guarantee="ranked"),
        verdict("r00-h0-gpu2", channel="fact", guarantee="ranked"),
    ]
    seen = decoded(view(SMALL, states={0: 4, 1: 1, 2: 6}, verdicts=verdicts))
    assert drawn(seen).splitlines()[0] == "r00  !?F· ····"


def test_racks_and_hosts_with_a_verdict_are_marked_beside_their_shards() -> None:
    verdicts = [verdict("r01", "rack"), verdict("r00-h1", "host", guarantee="ranked")]
    seen = decoded(view(SMALL, verdicts=verdicts))
    assert drawn(seen, width=16).splitlines() == ["r00  ····?····", "r01! ···· ····"]


def test_a_verdict_on_a_node_without_a_place_is_named_elsewhere() -> None:
    seen = decoded(view(SMALL, verdicts=[verdict("prod-east", "cluster"), verdict("r01", "rack")]))
    found = elsewhere(arrange(seen.layout, 60, 20), seen.layout, marks(seen))
    assert [seen.layout.rows[row].id for row in found] == ["prod-east"]


@pytest.mark.parametrize(
    ("racks", "height", "zoom"), [(4, 20, "shard"), (157, 33, "host"), (157, 8, "rack")]
)
def test_the_map_zooms_out_until_it_fits(racks: int, height: int, zoom: str) -> None:
    arranged = arrange(decoded(view(layout(racks, 8, 8))).layout, 58, height)
    assert arranged.zoom == zoom
    assert arranged.height <= height
    assert arranged.width <= 58


@pytest.mark.parametrize("height", [1, 20, 33, 2000])
def test_each_shard_has_one_glyph_and_each_glyph_its_own_place(height: int) -> None:
    rows = decoded(view(layout(20, 8, 8))).layout
    arranged = arrange(rows, 58, height)
    assert set(arranged.glyph_of[: rows.shards].tolist()) == set(range(arranged.row.size))
    assert len(places(arranged)) == arranged.row.size


def test_a_glyph_of_many_shows_the_worst_of_them() -> None:
    seen = decoded(
        view(
            layout(157, 8, 8),
            states={0: 1, 65: 4},
            verdicts=[verdict("r01-h1-gpu3"), verdict("r02-h0", "host", guarantee="ranked")],
        )
    )
    arranged = arrange(seen.layout, 58, 33)
    worst = arranged.worst(marks(seen))
    assert arranged.zoom == "host"
    assert worst[0] == Mark.LEARNING
    assert [int(worst[i]) for i in (8, 9, 16)] == [Mark.SILENT, Mark.CONTROLLED, Mark.RANKED]
    assert np.count_nonzero(worst != Mark.QUIET) == 4


def test_names_are_in_the_order_that_a_person_counts() -> None:
    rows = [console.Row(id=f"gpu-{n}", kind="gpu", parent=4) for n in (10, 9, 1)]
    rows.append(console.Row(id="node-1", kind="host"))
    got = decode.layout(console.Layout(version=1, shards=3, rows=rows))
    assert [got.rows[row].id for row in arrange(got, 40, 5).row] == ["gpu-1", "gpu-9", "gpu-10"]


def test_shards_without_a_place_in_the_topology_are_shown_all_the_same() -> None:
    rows = [console.Row(id=f"gpu-{n}", kind="gpu") for n in range(3)]
    got = decode.layout(console.Layout(version=1, shards=3, rows=rows))
    seen = decoded(view(console.Layout(version=1, shards=3, rows=rows)))
    assert arrange(got, 40, 5).row.size == 3
    assert drawn(seen) == "elsewhere  ···"
