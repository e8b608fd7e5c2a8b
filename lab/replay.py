"""`tessera replay`: play a recording through the engine and say who is at fault.

Apart from the lock-step that plays: here are the command line and its promises.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, track

from ..adapters.catalogue import LADDER
from ..adapters.document import BadDocument
from ..adapters.recording import Recording
from ..adapters.recording_read import read_recording, read_truth
from ..aggregator.decide.verdicts import Transition
from .judged import judged_metrics
from .lockstep import Lockstep
from .refused import OneLine, Refused
from .score import score
from .tell import (
    score_json,
    score_text,
    summary_json,
    summary_text,
    transition_json,
    transition_text,
)
from .ticks import Ticks, ticks_of


@click.command(cls=OneLine)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line, a summary last")
@click.option("--block", type=int, metavar="S", help="block length in seconds, for all metrics")
@click.option("--margin", type=float, metavar="SHARE", help="level margin, 0.05 for 5 %")
@click.option("--q", type=float, default=0.1, show_default=True, help="level of e-BH")
@click.option("--score", "scored", is_flag=True, help="compare with the recording's truth.json")
def replay(  # noqa: PLR0913 - one parameter for each option of the command line
    *,
    folder: Path,
    as_json: bool,
    block: int | None,
    margin: float | None,
    q: float,
    scored: bool,
) -> None:
    """Play the recording in FOLDER and print the transitions of every verdict.

    Exit status 0 when it was played, 2 on bad input.
    """
    try:
        truth = read_truth(folder) if scored else None
        recording = _read(folder)
        ticks = ticks_of(recording)
        player = Player(recording, ticks, block=block, margin=margin, q=q)
    except (BadDocument, ValueError, OSError) as bad:
        raise Refused(str(bad)) from None
    tell: Callable[[Transition], str] = transition_json if as_json else transition_text
    done: list[Transition] = []
    for transition in player.transitions():
        done.append(transition)
        click.echo(tell(transition))
    still_open = player.lockstep.pipeline.open
    if truth is not None:
        result = score(truth, done, still_open)
        click.echo(score_json(result) if as_json else score_text(result))
    summary = summary_json if as_json else summary_text
    click.echo(
        summary(
            still_open,
            player.lockstep.pipeline.abstained(),
            shards=len(recording.shards),
            ticks=len(ticks),
            seconds=ticks.seconds,
        )
    )


class Player:
    """One recording and the lock-step that plays it."""

    def __init__(
        self,
        recording: Recording,
        ticks: Ticks,
        *,
        block: int | None = None,
        margin: float | None = None,
        q: float = 0.1,
    ) -> None:
        """Lay out the play; raise ``ValueError`` with one line for numbers that cannot be."""
        if not 0.0 < q <= 1.0:
            message = f"--q {q:g}: e-BH has a level in (0, 1]; try 0.1"
            raise ValueError(message)
        columns, metrics = judged_metrics(recording, block, margin)
        shortest = _shortest(ticks.interval)
        if block is not None and block < shortest:
            message = (
                f"--block {block}: readings are {ticks.interval:g} s apart; "
                f"use {shortest} or a longer one"
            )
            raise ValueError(message)
        self._ticks = ticks
        self._columns = list(columns)
        self.lockstep = Lockstep(
            recording.topology,
            recording.shards,
            metrics,
            interval=ticks.interval,
            shortest=shortest,
            horizon=ticks.seconds,
            q=q,
        )

    def transitions(self) -> Iterator[Transition]:
        """Yield the transitions, with a progress bar on a terminal."""
        shown = track(
            self._ticks,
            "replay",
            total=len(self._ticks),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        yield from self.lockstep.play((at, values[:, self._columns]) for at, values in shown)


def _read(folder: Path) -> Recording:
    """Read the recording, with a progress bar on a terminal."""
    if not sys.stderr.isatty():  # a bar that is not shown still prints an empty line
        return read_recording(folder)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read", total=None)
        return read_recording(
            folder, lambda done, total: bar.update(task, completed=done, total=total)
        )


def _shortest(interval: float) -> int:
    """Return the shortest block that holds a tick of ``interval`` seconds."""
    for rung in LADDER:
        if rung >= interval:
            return rung
    message = (
        f"its readings are {interval:g} s apart, and the longest block is {LADDER[-1]} s; "
        "record at least that often"
    )
    raise ValueError(message)
