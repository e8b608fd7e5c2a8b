import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tessera.lab.calibrate import calibrate, grid, measured, parts, play, reduced, scaled
from tessera.lab.cells.count import SHOWN, Tally, Target
from tessera.lab.cells.grid import Planned
from tessera.lab.cells.page import FAMILIES, Row, page

FIXED = "tests"


def a_cell(**changed: object) -> Planned:
    def tally(fleets: int, seed: int) -> Tally:
        return Tally({"named": np.array([[seed % 2] * fleets, [1.0] * fleets])})

    defaults: dict[str, object] = {
        "family": "change",
        "name": "one",
        "kind": "null",
        "play": tally,
        "fleets": 7,
        "chunk": 3,
        "targets": {"named": Target(0.5)},
    }
    return Planned(**{**defaults, **changed})  # type: ignore[arg-type]  # the fields' own types


def played(cells: list[Planned]) -> list[Row]:
    """Play ``cells`` one after the other, with the seeds of tests."""
    return measured(cells, (play(part) for cell in cells for part in parts(cell, FIXED)))


def few(keep: Callable[[Planned], bool], fleets: int) -> list[Row]:
    """Play the cells that ``keep`` wants at ``fleets`` each."""
    cells = [scaled(cell, fleets / cell.fleets) for cell in grid(1) if keep(cell)]
    return played(cells)


def missed(rows: list[Row]) -> list[str]:
    return [f"{row.cell}: {row.count.what} {row.count.value}" for row in rows if not row.count.met]


def test_the_grid_is_the_one_that_was_counted_and_has_no_cell_twice() -> None:
    names = [(cell.family, cell.name, cell.kind) for cell in grid(200)]
    assert len(set(names)) == len(names)
    assert {family for family, _, _ in names} == set(FAMILIES)


def test_a_cell_that_was_not_counted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.lab.calibrate.PLANNED", 3)
    with pytest.raises(ValueError, match="say so in PLANNED"):
        grid(200)


def test_every_null_has_its_power_and_each_has_a_number_that_can_fail() -> None:
    cells = grid(200)
    powers = {(cell.family, cell.name) for cell in cells if cell.kind == "power"}
    assert [c.name for c in cells if c.kind == "null" and (c.family, c.name) not in powers] == []
    nulls = [cell for cell in cells if cell.kind == "null"]
    assert [c.name for c in nulls if all(t == SHOWN for t in c.targets.values())] == []


def test_the_parts_of_a_cell_have_seeds_of_their_own_and_all_its_fleets() -> None:
    cell = a_cell()
    assert cell.parts == (3, 3, 1)
    seeds = [part.seed for part in parts(cell, FIXED)]
    assert len({*seeds, *(part.seed for part in parts(a_cell(name="two"), FIXED))}) == 6


def test_the_counts_of_each_cell_come_from_its_own_parts() -> None:
    def always(fleets: int, _seed: int) -> Tally:
        return Tally({"named": np.ones((2, fleets))})

    def never(fleets: int, _seed: int) -> Tally:
        return Tally({"named": np.array([np.zeros(fleets), np.ones(fleets)])})

    rows = played([a_cell(play=always), a_cell(name="two", play=never, fleets=2)])
    assert [(row.cell, row.fleets, row.count.value) for row in rows] == [
        ("one", 7, 1),
        ("two", 2, 0),
    ]


def test_families_with_fewer_fleets_than_planned_are_named() -> None:
    cells = [a_cell(family=family) for family in ("level", "change", "speed")]
    rows = played([cells[0], scaled(cells[1], 0.3), scaled(cells[2], 1.0)])
    assert reduced(rows, cells) == ["change"]
    assert "**A reduced run:** fewer fleets than planned in change." in page(
        rows, FIXED, ["change"]
    )


FAST = "AR .9; fast, 5 ticks"


def test_a_reduced_null_and_its_power_are_as_promised() -> None:
    assert missed(few(lambda cell: cell.family == "change" and cell.name == FAST, 2)) == []


@pytest.mark.slow
def test_reduced_nulls_of_the_change_channel_stay_below_villes_bounds_together() -> None:
    rows = few(lambda c: (c.family, c.kind) == ("change", "null") and "walk" not in c.name, 2)
    for what, most in (("streams ever at M ≥ 20", 0.05), ("streams ever at M ≥ 100", 0.01)):
        values = [row.count.value for row in rows if row.count.what == what]
        assert len(values) == 27
        assert np.mean(values) <= most


@pytest.mark.slow
def test_reduced_powers_of_the_change_channel_find_what_was_planted() -> None:
    assert missed(few(lambda c: (c.family, c.kind) == ("change", "power"), 2)) == []


@pytest.mark.slow
def test_a_random_walk_is_demoted_in_a_large_pool_and_never_controlled() -> None:
    rows = few(lambda c: "pools of 1024" in c.name and c.kind == "null", 16)
    assert missed(rows) == []
    assert [r.count.value for r in rows if r.count.what == "streams of class none at the end"] == [
        1
    ]


@pytest.mark.slow
def test_reduced_levels_hold_and_find() -> None:
    names = ("noise 1 × margin, AR 0,", "noise 3 × margin, AR 0.5,", "noise 1 × margin, AR 0.9,")
    rows = few(lambda c: c.family == "level" and c.name.startswith(names), 3)
    assert missed(rows) == []


@pytest.mark.slow
@pytest.mark.parametrize(("family", "fleets"), [("siblings", 100), ("freeze", 2000), ("oracle", 8)])
def test_reduced_families_are_as_promised(family: str, fleets: int) -> None:
    assert missed(few(lambda cell: cell.family == family, fleets)) == []


@pytest.mark.slow
def test_reduced_lists_name_the_ill_and_hardly_anyone_else() -> None:
    assert missed(few(lambda c: c.family == "lists" and c.name.startswith("iid; 3 %"), 2)) == []


@pytest.mark.slow
def test_reduced_speed_does_not_contradict_its_targets() -> None:
    rows = few(lambda cell: (cell.family, cell.name) == ("speed", "AR .9"), 4)
    far = [r for r in rows if not r.count.met and r.count.low > (r.count.target or 0.0)]
    assert missed(far) == []


@pytest.mark.slow
def test_the_command_prints_what_it_writes_and_keeps_what_it_did_not_play(tmp_path: Path) -> None:
    out = tmp_path / "calibration.md"
    command = [sys.executable, "-m", "tessera.lab.calibrate", "--scale", "0.01", "--out", str(out)]
    for family in ("freeze", "oracle"):
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, "--only", family], check=True, capture_output=True, text=True
        )
        assert done.stdout.startswith("| cell |")
        assert done.stdout in out.read_text()
        assert "cells are planned" in done.stderr
    assert {"## freeze", "## oracle"} <= set(out.read_text().splitlines())
    assert out.with_suffix(".csv").read_text().count("\n") > 10


def test_a_folder_that_is_not_there_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "c.md"
    result = CliRunner().invoke(calibrate, ["--out", str(out)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
