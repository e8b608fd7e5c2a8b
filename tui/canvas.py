"""The map as characters with a mark each, ready for any way of colouring them.

Apart from the widget, because this is where a wrong picture would be made, and it can be tested
without a terminal.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrange import NONE, Arrangement
from .format import plain
from .marks import GLYPHS, PLAIN_GLYPHS, Mark
from .view import Bytes, Layout

LABEL = 255  # in the place of a mark: a name

Characters = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Characters and their marks, both (lines, columns)."""

    characters: Characters
    marks: Bytes

    def text(self) -> str:
        """Return the lines without colours."""
        return "\n".join("".join(line).rstrip() for line in self.characters)


def paint(arranged: Arrangement, marks: Bytes, *, ascii_only: bool = False) -> Canvas:
    """Return the map of ``marks`` (R,) at the places of ``arranged``."""
    shape = (max(1, arranged.height), max(1, arranged.width))
    characters = np.full(shape, " ", dtype="<U1")
    codes = np.full(shape, Mark.NONE, dtype=np.uint8)
    glyphs = np.array(list(PLAIN_GLYPHS if ascii_only else GLYPHS))
    for label in arranged.labels:
        text = plain(label.text) if ascii_only else label.text
        end = label.column + len(text)
        characters[label.line, label.column : end] = list(text)
        codes[label.line, label.column : end] = LABEL
        if label.row != NONE and _of_its_own(int(marks[label.row])):
            characters[label.line, end] = glyphs[marks[label.row]]
            codes[label.line, end] = marks[label.row]
    for line, column, row in arranged.between:
        if _of_its_own(int(marks[row])):
            characters[line, column] = glyphs[marks[row]]
            codes[line, column] = marks[row]
    worst = arranged.worst(marks)
    characters[arranged.line, arranged.column] = glyphs[worst]
    codes[arranged.line, arranged.column] = worst
    return Canvas(characters, codes)


def elsewhere(arranged: Arrangement, layout: Layout, marks: Bytes) -> tuple[int, ...]:
    """Return the rows with an open verdict that have no place on the map: stages, the cluster."""
    placed = arranged.glyph_of != NONE
    for row in [label.row for label in arranged.labels] + [row for _, _, row in arranged.between]:
        if row != NONE:
            placed[row] = True
    open_rows = np.flatnonzero((marks >= Mark.RANKED) & ~placed)
    return tuple(int(row) for row in open_rows if row < len(layout.rows))


def _of_its_own(mark: int) -> bool:
    """Say whether an inner node is marked itself: it has evidence or a verdict."""
    return mark >= Mark.EVIDENCE
