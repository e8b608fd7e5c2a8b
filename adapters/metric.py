"""What evidence may assume of one metric: its unit, transform, bad direction, margin and blocks.

Apart, because the table of known metrics and a site's overrides both make these rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import log1p
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from .document import is_number

Floats = npt.NDArray[np.float64]
Kind = Literal["gauge", "counter", "counts", "event", "state"]
Transform = Literal["identity", "log", "log1p", "logit"]
Direction = Literal[-1, 0, 1]
Score = Literal["mean", "spread", "oscillation", "spike", "joint"]

# What is ranked, and the family that evidence from it is called by (DESIGN.md section 8).
FAMILIES: Mapping[Score, str] = {
    "mean": "A mean",
    "spread": "spread",
    "joint": "C joint",
    "oscillation": "D oscillation",
    "spike": "E spike",
}
SCORES: tuple[Score, ...] = ("oscillation", "spike", "spread")  # that a row may ask for, by name
JOINT: Score = "joint"  # the score, and the name, of the one column that judges others together
BESIDE: tuple[Score, ...] = (*SCORES, JOINT)  # all that is judged beside means
COUNTS = "counts"  # what evidence from a column that is counted is called
MARK = "/"  # between the name of a metric and that of a score

LADDER = (1, 2, 5, 10, 30, 60, 120, 300, 600)  # block lengths in seconds

_CLIP = 0.001  # ratios are held this far from 0 and 1 before the logit
Word = TypeVar("Word", Kind, Transform)


class BadMetric(ValueError):  # noqa: N818 - named for what it says
    """Say what is wrong with the description of a metric: ``metric``, ``what``, ``todo``."""

    def __init__(self, metric: str, what: str, todo: str) -> None:
        """Keep the facts; the text is made of them when asked for."""
        super().__init__(metric, what, todo)
        self.metric = metric
        self.what = what
        self.todo = todo

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"metric {self.metric!r}: {self.what}; {self.todo}"


@dataclass(frozen=True, slots=True)
class JobMargin:
    """The margins of one job, as those of `Metric`; None: no level channel for that job."""

    job: str
    margin: float | None
    role_margin: float | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the catalogue. Times are in seconds, values in ``unit``.

    ``kind`` describes the readings as they stand in a recording: a ``counter`` is a running total
    whose rate is the stream, ``counts`` a running total whose increase in a block is counted.
    ``margin`` (among equals) and ``role_margin`` (between roles) are in transformed units: for
    ``log`` metrics the natural logarithm of (1 + share), so 5 % is 0.0488. None: no level channel.
    ``direction`` is the bad side: 1 up, −1 down, 0 both. ``fast`` and ``slow`` are the block
    lengths to start from, 0 where the metric makes no blocks; ``level`` is that of the level
    channel. ``tau`` is the decay time of its own noise, ``refresh`` how often the source changes.

    ``scores`` are what else is judged of its ticks beside their mean. A row with another ``score``
    than the mean is such a column: ``name`` is the metric's and, behind a slash, the score's.
    ``jobs`` are the jobs whose margins are others.
    """

    name: str
    unit: str
    kind: Kind = "gauge"
    transform: Transform = "identity"
    direction: Direction = 0
    margin: float | None = None
    role_margin: float | None = None
    tau: float = 5.0
    fast: int = 5
    slow: int = 30
    level: int | None = None
    refresh: float = 1.0
    scale: float = 1.0  # multiplied in before the transform
    scores: tuple[Score, ...] = ()
    score: Score = "mean"
    jobs: tuple[JobMargin, ...] = ()

    def margin_of(self, job: str, *, equals: bool) -> float | None:
        """Return the margin among the workers of ``job``, or between its roles; None: no channel.

        A job that nothing is said of, also that of several jobs, "", has the metric's own.
        """
        for own in self.jobs:
            if own.job == job:
                return own.margin if equals else own.role_margin
        return self.margin if equals else self.role_margin

    @property
    def judged(self) -> bool:
        """Say whether evidence is made of it: events and states have other engines."""
        return self.kind in {"gauge", "counter", "counts"}

    @property
    def counted(self) -> bool:
        """Say whether its errored ticks are counted, and nothing else is made of it."""
        return self.kind == "counts"

    @property
    def base(self) -> str:
        """Return the name of the metric that is read, of which this is a score."""
        return split(self.name)[0]

    @property
    def family(self) -> str:
        """Return what evidence from this column is called."""
        return COUNTS if self.counted else FAMILIES[self.score]

    @property
    def paired(self) -> bool:
        """Say whether it has a fast and a slow change stream, whose rungs τ moves; else one."""
        return self.score == "mean" and not self.counted


def split(name: str) -> tuple[str, Score]:
    """Return the metric that is read and the score of a column called ``name``."""
    base, mark, last = name.rpartition(MARK)
    if name == JOINT:
        return name, JOINT
    for score in BESIDE:
        if mark and base and score == last:
            return base, score
    return name, "mean"


def apply_transform(metric: Metric, values: npt.ArrayLike) -> Floats:
    """Return ``values`` (any shape) on the scale on which the metric is judged.

    Domains: ``log`` (0, ∞), ``log1p`` [0, ∞), ``logit`` [0, 1] held 0.001 from both ends. NaN, and
    whatever lies outside the domain, gives NaN: no value rather than a made-up one.
    """
    scaled = np.asarray(values, dtype=np.float64) * metric.scale
    if metric.transform == "log":
        return _floats(np.log(np.where(scaled > 0, scaled, np.nan)))
    if metric.transform == "log1p":
        return _floats(np.log1p(np.where(scaled >= 0, scaled, np.nan)))
    if metric.transform == "logit":
        held = np.clip(np.where((scaled >= 0) & (scaled <= 1), scaled, np.nan), _CLIP, 1 - _CLIP)
        return _floats(np.log(held) - np.log1p(-held))
    return scaled


def _floats(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def with_fields(metric: Metric, overrides: Mapping[str, object]) -> Metric:
    """Return ``metric`` changed by the ``overrides`` of its fields; raise ``BadMetric``.

    Margins are given as a share (0.05 for 5 %) where the transform is ``log``, else in transformed
    units; null takes a margin away. ``direction`` may be "up", "down", "both" or 1, −1, 0. ``jobs``
    are margins by job: {"train": {"margin": 0.1}}.
    """
    if metric.score != "mean":
        todo = f'write "scores" under {metric.base!r}'
        raise BadMetric(metric.name, "is a score and has no fields of its own", todo)
    read = _Fields(metric.name, overrides)
    changed = Metric(
        metric.name,
        unit=read.text("unit", metric.unit),
        kind=read.word("kind", metric.kind, get_args(Kind)),
        transform=read.word("transform", metric.transform, get_args(Transform)),
        direction=read.direction(metric.direction),
        margin=metric.margin,
        role_margin=metric.role_margin,
        tau=read.number("tau", metric.tau, least=0),
        fast=read.block("fast", metric.fast),
        slow=read.block("slow", metric.slow),
        level=read.block("level", metric.level or 0) or None,
        refresh=read.number("refresh", metric.refresh, least=0),
        scale=read.number("scale", metric.scale, least=1e-300),
        scores=read.scores("scores", metric.scores),
        jobs=metric.jobs,
    )
    if changed.fast > changed.slow:
        raise BadMetric(metric.name, "its fast block is longer than its slow one", "swap them")
    if "margin" not in overrides and changed.transform != metric.transform and metric.margin:
        todo = "give the margin again, in the new units"
        raise BadMetric(metric.name, "changes its transform but keeps its margin", todo)
    return _with_jobs(_with_margins(changed, read), overrides.get("jobs", {}))


def _with_jobs(metric: Metric, jobs: object) -> Metric:
    """Return ``metric`` with the margins of ``jobs`` added; raise ``BadMetric``."""
    if not isinstance(jobs, Mapping):
        raise BadMetric(metric.name, f"jobs is {jobs!r:.60}", _JOBS)
    held = {own.job: own for own in metric.jobs}
    for job, fields_ in jobs.items():
        if not isinstance(job, str) or not isinstance(fields_, Mapping):
            raise BadMetric(metric.name, f"job {job!r:.60} is no object", _JOBS)
        strange = sorted(map(str, fields_.keys() - {"margin", "role_margin"}))
        if strange:
            raise BadMetric(metric.name, f"job {job!r:.60} has a field {strange[0]!r:.40}", _JOBS)
        own = _with_margins(metric, _Fields(metric.name, fields_))
        held[job] = JobMargin(job, own.margin, own.role_margin)
    return replace(metric, jobs=tuple(held.values()))


def _with_margins(metric: Metric, read: "_Fields") -> Metric:
    margin = read.margin("margin", metric.margin, metric.transform)
    if margin is None:
        return replace(metric, margin=None, role_margin=None, level=None)
    if metric.direction == 0:
        todo = 'say which direction is bad: "up" or "down"'
        raise BadMetric(metric.name, "has a margin but no bad direction", todo)
    between = read.margin("role_margin", metric.role_margin, metric.transform)
    level = metric.level or level_block(metric.tau, metric.refresh)
    return replace(metric, margin=margin, role_margin=max(between or margin, margin), level=level)


def level_block(tau: float, refresh: float) -> int:
    """Return the shortest block that spans three decay times and three refreshes (seconds).

    Source: statistics.md G1. A source as quick as its reader (refresh of at most one second) asks
    for nothing more.
    """
    least = max(3 * tau, 3 * refresh if refresh > 1 else 0)
    return next((length for length in LADDER if length >= least), LADDER[-1])


class _Fields:
    """The fields of one override, each read as its type or refused with a line that says why."""

    def __init__(self, metric: str, fields: Mapping[str, object]) -> None:
        for key in fields:
            if key not in _NAMES:
                raise BadMetric(metric, f"has no field {key!r}", f"use only: {', '.join(_NAMES)}")
        self._metric = metric
        self._fields = fields

    def text(self, key: str, default: str) -> str:
        value = self._fields.get(key, default)
        if isinstance(value, str):
            return value
        raise self._refused(key, value, "write it as text")

    def word(self, key: str, default: Word, words: tuple[Word, ...]) -> Word:
        value = self._fields.get(key, default)
        for word in words:
            if word == value:
                return word
        raise self._refused(key, value, f"use one of: {', '.join(words)}")

    def direction(self, default: Direction) -> Direction:
        key = "direction"
        value = self._fields.get(key, default)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value in _BAD_SIDES:
            return _BAD_SIDES[value]
        raise self._refused(key, value, 'write "up", "down" or "both"')

    def number(self, key: str, default: float, *, least: float) -> float:
        value = self._fields.get(key, default)
        if is_number(value) and value >= least:
            return float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            todo = "write a finite number that is not too small or too large"
            raise self._refused(key, value, todo)
        raise self._refused(key, value, "write a number")

    def margin(self, key: str, default: float | None, transform: Transform) -> float | None:
        if key not in self._fields:
            return default
        if self._fields[key] is None:
            return None
        share = self.number(key, 0.0, least=1e-9)
        return log1p(share) if transform == "log" else share

    def scores(self, key: str, default: tuple[Score, ...]) -> tuple[Score, ...]:
        value = self._fields.get(key, default)
        if isinstance(value, (list, tuple)):
            found: tuple[Score, ...] = tuple(score for score in SCORES if score in value)
            if len(found) == len(value):
                return found
        raise self._refused(key, value, f"list some of: {', '.join(SCORES)}; [] for none")

    def block(self, key: str, default: int) -> int:
        value = self._fields.get(key, default)
        if isinstance(value, int) and (value in LADDER or key not in self._fields):
            return value
        raise self._refused(key, value, f"use one of: {', '.join(map(str, LADDER))}")

    def _refused(self, key: str, value: object, todo: str) -> BadMetric:
        return BadMetric(self._metric, f"{key} is {value!r:.60}", todo)


_JOBS = 'write {"jobs": {"train": {"margin": 0.1, "role_margin": 0.2}}}'
_BAD_SIDES: Mapping[object, Direction] = {"down": -1, "both": 0, "up": 1, -1: -1, 0: 0, 1: 1}
_NAMES = tuple(field.name for field in fields(Metric) if field.name not in {"name", "score"})
