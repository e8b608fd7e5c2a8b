"""`python -m tessera.lab.calibrate`: count false alarms and delays on seeded synthetic fleets.

Apart from the cells, which only play and count: this plans the whole grid, counts it before the
first fleet is played, plays it in several processes, and writes what was counted.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from ..settings.refused import HELP, OneLine, Refused
from .cells import levels, lists, nulls, power, siblings, single, whole
from .cells.count import Tally, counts, joined, seed_of
from .cells.grid import Planned, Play
from .cells.page import FAMILIES, Row, as_csv, from_csv, page, table

WHOLE_FLEETS = 200  # of the whole system, in each of its cells
PLANNED = 119  # cells of the grid, counted in advance: a cell that comes or goes is said here


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a cell, that one process plays."""

    play: Play
    fleets: int
    seed: int


def grid(fleets: int) -> list[Planned]:
    """Return every cell, those of the whole system with so many ``fleets``.

    Raises ``ValueError`` if these are not the cells that were counted in advance.
    """
    cells = [
        *nulls.planned(),
        *levels.planned(),
        *siblings.planned(),
        *lists.planned(),
        *single.planned(),
        *power.planned(),
        *whole.planned(fleets),
    ]
    if len(cells) != PLANNED:
        message = f"{len(cells)} cells are planned and {PLANNED} were counted: say so in PLANNED"
        raise ValueError(message)
    return cells


def parts(cell: Planned, prefix: str) -> list[Part]:
    """Return the parts of ``cell`` with their seeds, hashed from ``prefix`` and its names."""
    return [
        Part(cell.play, fleets, seed_of(prefix, cell.family, cell.name, cell.kind, number))
        for number, fleets in enumerate(cell.parts)
    ]


def play(part: Part) -> Tally:
    """Play one part."""
    return part.play(part.fleets, part.seed)


def measured(cells: Sequence[Planned], tallies: Iterable[Tally]) -> list[Row]:
    """Return what was counted in ``cells``, whose parts' ``tallies`` come in their order."""
    each = iter(tallies)
    rows = []
    for cell in cells:
        tally = joined(list(islice(each, len(cell.parts))))
        names = cell.family, cell.name, cell.kind, cell.fleets
        rows += [Row(*names, count) for count in counts(tally, cell.targets)]
    return rows


def scaled(cell: Planned, scale: float) -> Planned:
    """Return ``cell`` with a ``scale`` in (0, 1] of its fleets, at least one."""
    return replace(cell, fleets=max(1, round(scale * cell.fleets)))


@click.command(cls=OneLine, context_settings=HELP)
@click.option(
    "--fleets",
    type=click.IntRange(min=1),
    default=WHOLE_FLEETS,
    show_default=True,
    help="of the whole system, in each cell and layout",
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    help="share of the fleets of every cell that is played",
)
@click.option(
    "--only",
    type=click.Choice(list(FAMILIES)),
    multiple=True,
    help="play this family of cells and keep the others as OUT's .csv has them; repeatable",
)
@click.option("--seed-prefix", default="calibrate", show_default=True, help="hashed into each seed")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="processes at once"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("docs/calibration.md"),
    show_default=True,
    help="page that is rewritten, with a .csv beside it",
)
def calibrate(  # noqa: PLR0913 - one option each
    *, fleets: int, scale: float, only: tuple[str, ...], seed_prefix: str, jobs: int, out: Path
) -> None:
    """Play every cell of the grid; print the counts and write them to OUT and OUT's .csv."""
    if not out.absolute().parent.is_dir():
        message = f"--out {out}: its folder does not exist; make it first"
        raise Refused(message)
    # Set before the workers load numpy: small arrays gain nothing from threads.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    cells = grid(fleets)
    chosen = [scaled(cell, scale) for cell in cells if not only or cell.family in only]
    click.echo(f"{len(cells)} cells are planned, {len(chosen)} are played", err=True)
    work = [part for cell in chosen for part in parts(cell, seed_prefix)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        rows = measured(chosen, _shown(pool, work))
    every = [*_kept(out.with_suffix(".csv"), only), *rows]
    text = page(every, seed_prefix, reduced(every, grid(WHOLE_FLEETS)))
    written = {out: text, out.with_suffix(".csv"): as_csv(every)}
    for path, content in written.items():
        path.write_text(content, encoding="utf-8")
    click.echo(table(rows))


def reduced(rows: Sequence[Row], cells: Sequence[Planned]) -> list[str]:
    """Return the families of ``rows`` with fewer fleets than ``cells`` plan."""
    full: dict[tuple[str, str, str], int] = {}
    full.update({(cell.family, cell.name, cell.kind): cell.fleets for cell in cells})
    short = {r.family for r in rows if r.fleets < full.get((r.family, r.cell, r.kind), 0)}
    return [family for family in FAMILIES if family in short]


def _kept(path: Path, played: Sequence[str]) -> list[Row]:
    """Return the rows of families that are not ``played``, of an earlier run; none if all are."""
    if not played or not path.exists():
        return []
    try:
        rows = from_csv(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        message = f"{path}: {problem}; move it away"
        raise Refused(message) from None
    return [row for row in rows if row.family not in played]


def _shown(pool: Executor, work: Sequence[Part]) -> Iterable[Tally]:
    """Play in ``pool``, with a progress bar on a terminal."""
    return track(
        pool.map(play, work),
        "calibrate",
        total=len(work),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


if __name__ == "__main__":
    calibrate()
