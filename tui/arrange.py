"""Where on the map each node stands: racks as blocks of glyphs, zoomed out until they fit.

Apart from drawing, because a place depends on the layout and the room alone, not on the moment.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from .decode import DEEPEST
from .view import Bytes, Ints, Layout

Zoom = Literal["shard", "host", "rack"]
GAP = 2  # columns between blocks
NONE = -1

Below = TypeVar("Below")


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a block at its place; ``row`` is the node, whose mark follows the text."""

    line: int
    column: int
    text: str
    row: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Glyphs G on a map: their places, and which node each stands for, in reading order.

    ``glyph_of`` (R,) is the glyph that shows a row, −1 = none. ``between`` are the places (line,
    column, row) before a unit's glyphs where its own mark stands.
    """

    zoom: Zoom
    width: int
    height: int
    line: Ints
    column: Ints
    row: Ints
    glyph_of: Ints
    labels: tuple[Label, ...]
    between: tuple[tuple[int, int, int], ...]

    def worst(self, marks: Bytes) -> Bytes:
        """Return for each glyph (G,) the largest of the ``marks`` (R,) that it stands for."""
        out = np.zeros(len(self.row), dtype=np.uint8)
        shown = self.glyph_of != NONE
        np.maximum.at(out, self.glyph_of[shown], marks[shown])
        return out


@dataclass(frozen=True, slots=True)
class _Unit:
    """Glyphs that stay together: the shards of a host, or the hosts of a rack."""

    row: int
    glyphs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """A labelled part of the map; ``row`` −1 = it has no node."""

    row: int
    units: tuple[_Unit, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is drawn at a zoom, before it has a place.

    ``flowing``: each line is named after the first unit on it, and not after its block.
    """

    zoom: Zoom
    blocks: tuple[_Block, ...]
    glyph_of: Ints
    flowing: bool

    @property
    def apart(self) -> bool:
        """Return whether units are kept apart, a space between them."""
        return self.zoom == "shard" or self.flowing


def arrange(layout: Layout, width: int, height: int) -> Arrangement:
    """Return the largest map of ``layout`` that fits, else the smallest, which is then higher."""
    last: Arrangement | None = None
    for plan in _plans(layout):
        for short in (False, True):
            last = _place(plan, layout, max(8, width), short=short)
            if last.height <= height and last.width <= width:
                return last
    assert last is not None  # noqa: S101  the first plan always is
    return last


def _plans(layout: Layout) -> Iterator[_Plan]:
    """Yield what can be drawn, from one glyph a shard to one glyph a rack."""
    parents = np.array([row.parent for row in layout.rows], dtype=np.int64)
    hosts = _hosts_of_shards(layout, parents)
    racks = _parents(hosts, parents)
    above = np.where(racks == NONE, NONE, _parents(racks, parents))
    # Hosts right below the root: each is a block of its own.
    blocks = np.where((racks == NONE) | (above == NONE), hosts, racks)
    shards = np.arange(layout.shards, dtype=np.int64)
    yield _plan("shard", layout, (shards, hosts, blocks))
    if (hosts != NONE).any():
        yield _plan("host", layout, (hosts, racks, racks))
    if (above != NONE).any():
        yield _plan("host", layout, (hosts, racks, above), flowing=True)
        yield _plan("rack", layout, (np.where(racks == NONE, hosts, racks), above, above))


def _plan(
    zoom: Zoom, layout: Layout, levels: tuple[Ints, Ints, Ints], *, flowing: bool = False
) -> _Plan:
    """Gather shards (S,) by glyph, unit and block (``levels``), each in order of their names."""
    glyphs_of, units_of, blocks_of = levels
    tree: dict[int, dict[int, dict[int, list[int]]]] = {}
    keys = zip(blocks_of.tolist(), units_of.tolist(), glyphs_of.tolist(), strict=True)
    for shard, (block, unit, node) in enumerate(keys):
        tree.setdefault(block, {}).setdefault(unit, {}).setdefault(node, []).append(shard)
    glyph_of = np.full(len(layout.rows), NONE, dtype=np.int64)
    made, position = [], 0
    for block, inner in _by_name(layout, tree):
        held = []
        for unit, nodes in _by_name(layout, inner):
            glyphs = []
            for node, members in _by_name(layout, nodes):
                glyph_of[members] = position
                if node != NONE:
                    glyph_of[node] = position
                glyphs.append(members[0] if node == NONE else node)
                position += 1
            held.append(_Unit(unit, tuple(glyphs)))
        made.append(_Block(block, tuple(held)))
    if zoom == "rack":
        _show_hosts_in_racks(layout, glyph_of)
    return _Plan(zoom, tuple(made), glyph_of, flowing=flowing)


def _by_name(layout: Layout, rows: Mapping[int, Below]) -> list[tuple[int, Below]]:
    """Return the items by the names of the rows, host-9 before host-10, what has none last."""
    return sorted(rows.items(), key=lambda item: _order(layout, item[0]))


def _order(layout: Layout, row: int) -> tuple[bool, list[tuple[int, str]]]:
    if row == NONE:
        return True, []
    parts = re.split(r"(\d+)", layout.rows[row].id)
    return False, [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _show_hosts_in_racks(layout: Layout, glyph_of: Ints) -> None:
    """Let a rack's glyph stand for its hosts too: their verdicts are no shard's."""
    for index, row in enumerate(layout.rows[layout.shards :], layout.shards):
        if row.kind == "host" and row.parent != NONE and glyph_of[index] == NONE:
            glyph_of[index] = glyph_of[row.parent]


def _hosts_of_shards(layout: Layout, parents: Ints) -> Ints:
    """Return each shard's (S,) nearest node of kind "host", else its parent, −1 = none."""
    is_host = np.array([row.kind == "host" for row in layout.rows], dtype=np.bool_)
    direct = parents[: layout.shards].copy()
    found, here = direct.copy(), direct
    done = np.zeros(layout.shards, dtype=np.bool_)
    for _ in range(DEEPEST):
        hit = ~done & (here != NONE) & is_host[here]
        found[hit] = here[hit]
        done |= hit
        here = _parents(here, parents)
    return found


def _parents(rows: Ints, parents: Ints) -> Ints:
    return np.where(rows == NONE, NONE, parents[rows])


def _place(plan: _Plan, layout: Layout, width: int, *, short: bool) -> Arrangement:
    """Set the blocks of ``plan`` side by side, as many as go, each as wide as the widest."""
    units = [unit for block in plan.blocks for unit in block.units]
    named = [unit.row for unit in units] if plan.flowing else [block.row for block in plan.blocks]
    names = _names(named, layout, short=short)
    margin = max(map(len, names.values()), default=0) + 2  # the name, its mark, a space
    step = max((len(unit.glyphs) for unit in units), default=1) + 1 if plan.apart else 1
    per_line = max(1, min((width - margin) // step, _longest(plan)))
    block_width = margin + per_line * step
    across = max(1, (width + GAP) // (block_width + GAP))
    return _Placing(plan, names, margin, step, per_line).placed(across, block_width)


def _longest(plan: _Plan) -> int:
    """Return how many units, or glyphs where units are not kept apart, the largest block has."""
    if plan.apart:
        return max((len(block.units) for block in plan.blocks), default=1)
    return max((sum(len(u.glyphs) for u in b.units) for b in plan.blocks), default=1)


@dataclass(frozen=True, slots=True)
class _Placing:
    """The measures by which blocks are set."""

    plan: _Plan
    names: Mapping[int, str]
    margin: int
    step: int
    per_line: int

    def placed(self, across: int, block_width: int) -> Arrangement:
        """Return all places, ``across`` blocks side by side."""
        lines: list[int] = []
        columns: list[int] = []
        rows: list[int] = []
        labels: list[Label] = []
        between: list[tuple[int, int, int]] = []
        top = 0
        for first in range(0, len(self.plan.blocks), across):
            deepest = 1
            for index in range(first, min(first + across, len(self.plan.blocks))):
                block = self.plan.blocks[index]
                left = (index - first) * (block_width + GAP)
                if not self.plan.flowing:
                    labels.append(Label(top, left, self.names[block.row], block.row))
                for slot, (unit, glyphs) in enumerate(self._slots(block)):
                    line = top + slot // self.per_line
                    column = left + self.margin + slot % self.per_line * self.step
                    if self.plan.flowing and slot % self.per_line == 0:
                        labels.append(Label(line, left, self.names[unit], NONE))
                    if unit not in (NONE, block.row) and self.plan.apart:
                        between.append((line, column - 1, unit))
                    lines += [line] * len(glyphs)
                    columns += range(column, column + len(glyphs))
                    rows += glyphs
                    deepest = max(deepest, line - top + 1)
            top += deepest
        return Arrangement(
            zoom=self.plan.zoom,
            width=min(across, max(1, len(self.plan.blocks))) * (block_width + GAP) - GAP,
            height=top,
            line=np.array(lines, dtype=np.int64),
            column=np.array(columns, dtype=np.int64),
            row=np.array(rows, dtype=np.int64),
            glyph_of=self.plan.glyph_of,
            labels=tuple(labels),
            between=tuple(between),
        )

    def _slots(self, block: _Block) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield what takes one step: a host's shards together, else each glyph."""
        for unit in block.units:
            if self.plan.apart:
                yield unit.row, unit.glyphs
            else:
                yield from ((unit.row, (glyph,)) for glyph in unit.glyphs)


def _names(rows: Sequence[int], layout: Layout, *, short: bool) -> dict[int, str]:
    """Return the rows' ids; ``short`` leaves out what all begin with."""
    names = {row: layout.rows[row].id if row != NONE else NO_PLACE for row in rows}
    shared = _begin(list(names.values())).rstrip("0123456789") if short and len(names) > 1 else ""
    return {row: name[len(shared) :] or name for row, name in names.items()}


def _begin(names: Sequence[str]) -> str:
    """Return what all of ``names`` begin with."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:same]


NO_PLACE = "elsewhere"
