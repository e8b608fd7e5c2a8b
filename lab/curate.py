"""`tessera curate-baseline`: say which past may be learned from, and mark what in it may not.

Apart from the stages and the artefacts: here are the command line, its promises and its statuses.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from ..adapters.document import BadDocument
from ..adapters.recording import Recording
from ..adapters.recording_read import read_recording
from ..engine.curation.validate import curate
from ..settings.refused import OneLine, Refused, warn
from .contrasts import corpus_of
from .corpus import Corpus, read_bundle
from .curated import BASELINE, DECISIONS, LEARNED, REPORT, artefacts, outcome
from .learned import learn
from .ticks import Ticks, ticks_of
from .whole import write_whole

READINGS: Final = ("readings.csv", "readings.csv.gz")

OURS = frozenset({BASELINE, REPORT, DECISIONS, LEARNED})


@click.command("curate-baseline", cls=OneLine, short_help="mark what in a baseline is not ordinary")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("curated-baseline"),
    show_default=True,
    metavar="DIR",
    help="folder for the artefacts, replaced whole",
)
@click.option("--allow-high-drop", is_flag=True, help="exit 0 also when 15 % or more are withheld")
@click.pass_context
def curate_baseline(
    context: click.Context, /, *, path: Path, out: Path, allow_high_drop: bool
) -> None:
    """Curate PATH, a baseline bundle (JSON) or a recording's folder.

    Ticks that are not ordinary are marked; none is deleted. Of a recording that is ready, what the
    product learns from it is written too: tessera.baseline, from which agents, aggregator and
    replay start with --baseline. Exit status 0 when the baseline is
    ready, with a warning from 5 % withheld on; 1 when it needs review or 15 % and more are
    withheld; 2 on bad input.
    """
    try:
        with _shown("reading"):
            corpus, played = _read(path)
        with _shown("curating"):
            found = curate(corpus.rows)
        end = outcome(found, allow_high_drop=allow_high_drop)
        empty = False
        learned = None if played is None or end.status else learn(*played, corpus, found)
        if learned is not None and not learned.streams:
            learned, empty = None, True
        write_whole(out, artefacts(corpus, found, end, learned), OURS)
    except (BadDocument, ValueError) as bad:
        raise Refused(str(bad)) from None
    except OSError as fault:
        message = f"{out}: {(fault.strerror or 'cannot be written').lower()}; nothing was kept"
        raise Refused(message) from None
    click.echo(f"{out}: {end.headline}; {100.0 * found.drop:.2f} % of the ticks are withheld")
    if end.warning:
        warn(end.warning)
    if empty:
        warn(f"{path} is too short for any stream to learn from it: no baseline is written")
    context.exit(end.status)


def _read(path: Path) -> tuple[Corpus, tuple[Recording, Ticks] | None]:
    """Return what is to be curated, and of a recording also what is to be played."""
    if not path.exists():
        message = f"{path}: is missing; name a recording's folder or a baseline bundle"
        raise Refused(message)
    if not path.is_dir():
        if path.name in READINGS:
            message = f"{path}: is one file of a recording; name its folder"
            raise Refused(message)
        return read_bundle(path), None
    recording = read_recording(path)
    ticks = ticks_of(recording)
    return corpus_of(recording, ticks), (recording, ticks)


@contextmanager
def _shown(what: str) -> Iterator[None]:
    """Show on a terminal that something goes on."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(what):
        yield
