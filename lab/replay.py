"""`tessera replay`: play a recording through the engine and say who is at fault.

Apart from the lock-step that plays: here are the command line and its promises.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import click
from rich.console import Console
from rich.progress import Progress, track

from ..adapters.catalogue import JOINT, LADDER
from ..adapters.document import BadDocument
from ..adapters.recording import Recording
from ..adapters.recording_read import read_recording, read_truth, refuse_strangers
from ..adapters.scored import with_scores
from ..aggregator.decide.transition import Transition
from ..aggregator.plan.abstain import Abstention
from ..proto.baseline_file import Baseline, load_baseline
from ..settings.refused import OneLine, Refused, warn
from .judged import (
    judged_metrics,
    not_judged,
    refuse_unplayable,
    shortest_rung,
    with_rungs_from,
)
from .lockstep import Lockstep
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


@click.command(cls=OneLine, short_help="play a recording and print its verdicts")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line, a summary last")
@click.option(
    "--block",
    type=int,
    metavar="S",
    help=f"block length in seconds, for all metrics: one of {', '.join(map(str, LADDER))}",
)
@click.option("--margin", type=float, metavar="SHARE", help="level margin, 0.05 for 5 %")
@click.option("--q", type=float, default=0.1, show_default=True, help="level of e-BH, in (0, 1]")
@click.option(
    "--baseline",
    "learned",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="start from what curate-baseline learned",
)
@click.option("--score", "scored", is_flag=True, help="compare with the recording's truth.json")
def replay(  # noqa: PLR0913 - one parameter for each option of the command line
    *,
    folder: Path,
    as_json: bool,
    block: int | None,
    margin: float | None,
    q: float,
    learned: Path | None,
    scored: bool,
) -> None:
    """Play the recording in FOLDER and print the transitions of every verdict.

    Exit status 0 when it was played, 2 on bad input.
    """
    try:
        truth = read_truth(folder) if scored else None
        recording = _read(folder)
        if truth is not None:
            refuse_strangers(truth, recording.topology)
        known = None if learned is None else load_baseline(learned)
        player = Player(
            recording, ticks_of(recording), block=block, margin=margin, q=q, baseline=known
        )
    except (BadDocument, ValueError, OSError) as bad:
        raise Refused(str(bad)) from None
    _say_what_is_not_played(recording)
    done = _tell_transitions(player, transition_json if as_json else transition_text)
    for line in player.lockstep.warmed():
        warn(line)
    if truth is not None:
        result = score(truth, done, player.open)
        click.echo(score_json(result) if as_json else score_text(result))
    click.echo(player.summary(summary_json if as_json else summary_text))


class Tell(Protocol):
    """How a summary is told: to a program or to a person."""

    def __call__(
        self,
        still_open: Sequence[str],
        abstained: Sequence[Abstention],
        *,
        shards: int,
        ticks: int,
        seconds: float,
    ) -> str:
        """Return the lines."""
        ...


class Player:
    """One recording and the lock-step that plays it."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that a play depends on
        self,
        recording: Recording,
        ticks: Ticks,
        *,
        block: int | None = None,
        margin: float | None = None,
        q: float = 0.1,
        baseline: Baseline | None = None,
    ) -> None:
        """Lay out the play; raise ``ValueError`` with one line for numbers that cannot be."""
        _refuse_options(recording, ticks, block, q)
        columns, metrics = judged_metrics(recording, block, margin)
        refuse_unplayable(recording, columns, metrics)
        own = ticks.intervals[list(columns)].tolist()
        shortest = tuple(
            shortest_rung(interval, f"{recording.path}: its readings of {metric.name}")
            for interval, metric in zip(own, metrics, strict=True)
        )
        self._recording, self._ticks, self._columns = recording, ticks, list(columns)
        read = [with_rungs_from(m, rung) for m, rung in zip(metrics, shortest, strict=True)]
        self.lockstep = Lockstep(
            recording.topology,
            recording.shards,
            with_scores(read, jointly=JOINT in recording.catalogue.scores),
            interval=ticks.interval,
            shortest=min(shortest),
            horizon=ticks.seconds,
            q=q,
            intervals=own,
            fixed_rungs=block is not None,
            baseline=baseline,
        )

    @property
    def path(self) -> Path:
        """Return the folder that is played."""
        return self._recording.path

    @property
    def open(self) -> tuple[str, ...]:
        """Return the ids of the nodes with an open verdict, sorted."""
        return self.lockstep.pipeline.open

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

    def summary(self, tell: Tell) -> str:
        """Return what ``tell`` makes of who is open and who abstained, metrics included."""
        abstained = (*self.lockstep.pipeline.abstained(), *not_judged(self._recording))
        return tell(
            self.open,
            abstained,
            shards=len(self._recording.shards),
            ticks=len(self._ticks),
            seconds=self._ticks.seconds,
        )


def _tell_transitions(player: Player, tell: Callable[[Transition], str]) -> list[Transition]:
    """Play, print each transition as it comes, and return them all."""
    done: list[Transition] = []
    try:
        for transition in player.transitions():
            done.append(transition)
            click.echo(tell(transition))
    except ValueError as bad:  # the engine's border: a number that it does not take
        message = f"{player.path}: stopped, {bad}; look for it in the readings and metrics.json"
        raise Refused(message) from None
    return done


def _say_what_is_not_played(recording: Recording) -> None:
    """Say on standard error which parts of the recording were read and change nothing."""
    counted = (("facts.csv", len(recording.facts)), ("events.json", len(recording.events)))
    parts = [f"{name} ({count})" for name, count in counted if count]
    if parts:
        what = f"{recording.path}: read but not played yet: {', '.join(parts)}"
        click.echo(f"tessera replay: {what}", err=True)


def _refuse_options(recording: Recording, ticks: Ticks, block: int | None, q: float) -> None:
    """Raise ``ValueError`` with one line for options that this recording cannot be played with."""
    if not 0.0 < q <= 1.0:
        message = f"--q {q:g}: e-BH has a level in (0, 1]; try 0.1"
        raise ValueError(message)
    shortest = shortest_rung(ticks.interval, f"{recording.path}: its readings")
    if block in LADDER and block < shortest:
        message = (
            f"--block {block}: readings are {ticks.interval:g} s apart; "
            f"use {shortest} or a longer one"
        )
        raise ValueError(message)


def _read(folder: Path) -> Recording:
    """Read the recording, with a progress bar on a terminal."""
    if not sys.stderr.isatty():  # a bar that is not shown still prints an empty line
        return read_recording(folder)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read", total=None)
        return read_recording(
            folder, lambda done, total: bar.update(task, completed=done, total=total)
        )
