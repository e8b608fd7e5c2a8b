"""A pipeline as bytes and back, to the last bit.

Apart from the database that keeps them, because what a pipeline consists of is told once, here,
and what comes off a disk is not believed before it was looked at.
"""

import zlib
from hashlib import sha256
from typing import Final, cast

import msgpack  # type: ignore[import-untyped]  # it ships no types

from ...adapters.catalogue import JobMargin, Metric
from ...engine.attribution import Family
from ...engine.bands import Band, Interval
from ...engine.baseline import Settled
from ...engine.calibration import Calibration, WindowSums
from ...engine.change import ChangeChannel
from ...engine.count_rows import CountBatch, CountRows
from ...engine.counts import CountsChannel
from ...engine.evalue import Validity
from ...engine.held import Baselines, Learned, Recent
from ...engine.joint import JointChannel
from ...engine.joint_rows import JointBatch, JointRows, Together
from ...engine.level import LevelChannel, LevelReport
from ...engine.margin import PlusRuns
from ...engine.memory import Memory
from ...engine.onset import OnsetMixture
from ...engine.ranks import Ranks
from ...engine.reason import Code, Reason
from ...engine.recovery import Recovery
from ...engine.recursive import Recursive
from ...engine.snapshot import Tree, named, restored, schema, snapshot

# What the pipeline's parts keep their own state in is nobody's business but theirs and this one's.
from ...engine.streams import Streams, _Change, _Level
from ...engine.temporal import OwnPast, TemporalChannel
from ...engine.watch import Hold, Watch, Watched, Watching
from ...proto.messages import Freeze, Held, HeldNote, LevelNotes, PathNode, ShardRow, Up2
from ..combine.blocks import Blocks
from ..combine.contrasts import Contrasts, _Rung
from ..combine.gather import (
    Gathered,
    GatherUp1,
    GatherUp2,
    _Awaited,
)
from ..combine.histories import Histories
from ..combine.loadings import Loadings, _Lines
from ..combine.peers import Summariser
from ..combine.rollup import Rollup
from ..combine.temporal import Temporal, _Column
from ..decide.audit import Audit
from ..decide.family import Selector
from ..decide.judge import Judge
from ..decide.lives import Effect, Life, Lives
from ..decide.transition import Transition
from ..decide.verdicts import Verdicts
from ..pipeline import Pipeline, Ways
from ..plan.cell import ChangeCell
from ..plan.change import ChangeBook, Fallen
from ..plan.counts import CountCell, CountsBook
from ..plan.epochs import Epochs, NewEpoch
from ..plan.lengths import Lengths
from ..plan.level import LevelBook
from ..plan.level_cell import LevelCell
from ..plan.members import Members
from ..plan.monitor import Monitor
from ..plan.parts import Parts
from ..plan.planner import Planner
from ..plan.renewal import Renewal
from ..plan.reports import Reports
from .evidence import EvidenceTable
from .fleet import Fleet, Place
from .freezes import Freezes
from .levels import InnerNode

_ENGINE = (Streams, _Change, _Level, ChangeChannel, LevelChannel, OnsetMixture, Ranks, Recursive)
_TABLES = (JointRows, JointBatch, JointChannel, Together, CountRows, CountBatch, CountsChannel)
_LEARNED = (PlusRuns, Memory, WindowSums, Settled, LevelReport, Calibration, Validity, Family)
_HELD = (
    Baselines,
    Learned,
    Recent,
    Watching,
    Watch,
    Watched,
    Hold,
    Recovery,
    Band,
    Interval,
)
_FLEET = (Fleet, Place, Metric, JobMargin, InnerNode, ShardRow, PathNode, Freezes, Freeze)
_PLAN = (Planner, Held, Parts, Reports, Renewal, Epochs, NewEpoch, Members)
_BOOKS = (ChangeBook, ChangeCell, Lengths, Monitor, LevelBook, LevelCell, CountsBook, CountCell)
_REASONS = (Reason, Code, Fallen)
_COMBINE = (Blocks, Contrasts, _Rung, Loadings, _Lines, Summariser, Rollup, EvidenceTable)
_GATHER = (GatherUp1, Gathered, GatherUp2, _Awaited, Histories, Up2, LevelNotes, HeldNote)
_TEMPORAL = (Temporal, _Column, TemporalChannel, OwnPast)
_DECIDE = (Judge, Selector, Verdicts, Transition, Audit, Lives, Life, Effect)

CLASSES: Final = named(
    Pipeline,
    Ways,
    *_ENGINE,
    *_TABLES,
    *_LEARNED,
    *_HELD,
    *_FLEET,
    *_PLAN,
    *_BOOKS,
    *_COMBINE,
    *_GATHER,
    *_TEMPORAL,
    *_REASONS,
    *_DECIDE,
)
MAGIC: Final = b"tessera pipeline 1\n"
_SCHEMA: Final = schema(CLASSES).encode()
_CHECK: Final = 32  # bytes of a SHA-256
_LEVEL = 1  # of zlib: most of a state are random digits, which no effort makes shorter


def pack(pipeline: Pipeline) -> bytes:
    """Return the whole of ``pipeline``; the same state makes the same bytes."""
    packed = cast("bytes", msgpack.packb(snapshot(pipeline)))
    body = _SCHEMA + zlib.compress(packed, _LEVEL)
    return MAGIC + sha256(body).digest() + body


def unpack(data: bytes) -> Pipeline:
    """Return the pipeline that :func:`pack` was given, which goes on exactly as the first does.

    Raises ``ValueError`` (one line) for a state of another version, cut short or damaged.
    """
    if not data.startswith(MAGIC):
        message = "is not the checkpoint of a pipeline of this version"
        raise ValueError(message)
    start = len(MAGIC) + _CHECK
    if data[len(MAGIC) : start] != sha256(data[start:]).digest():
        message = "is damaged or cut short, its checksum does not fit"
        raise ValueError(message)
    body = data[start:]
    if not body.startswith(_SCHEMA):
        message = "was written by another version, whose state has other fields"
        raise ValueError(message)
    found = restored(_tree(body[len(_SCHEMA) :]), CLASSES)
    if not isinstance(found, Pipeline):
        message = f"holds a {type(found).__name__}, not a pipeline"
        raise ValueError(message)  # noqa: TRY004 - a file of the wrong content, not a wrong call
    return found


def _tree(data: bytes) -> Tree:
    """Return the tree that was packed; raise ``ValueError`` where there is none."""
    try:
        return cast("Tree", msgpack.unpackb(zlib.decompress(data), strict_map_key=False))
    except (zlib.error, ValueError, msgpack.exceptions.UnpackException) as bad:
        message = f"is not what a checkpoint is packed as ({type(bad).__name__})"
        raise ValueError(message) from None
