"""Parse the text that Prometheus exporters serve: one sample a line, labels in braces.

Apart, because several vendors' exporters speak it, and a parser of a stranger's text is fuzzed by
itself. What is read: names, labels with their escapes, values with NaN and infinities; timestamps
and exemplars are passed over. Comments (HELP, TYPE) carry nothing that a reader of samples needs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 8 * 2**20  # characters of a page; eight GPUs with sixty fields make 150,000
_SHOWN = 60  # characters of a line that a message repeats

_SAMPLE = re.compile(
    r"""([a-zA-Z_:][\w:]*+)[ \t]*+             # name
        (?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*+")*+)\})?[ \t]*+   # labels; braces may stand in quotes
        (?<=[ \t}])([-+.\w]++)                 # value
        (?:[ \t]++-?\d++)?[ \t]*+(?:\#.*)?""",  # timestamp, exemplar
    re.ASCII | re.VERBOSE,
)
_LABEL = re.compile(
    r'[ \t]*+([a-zA-Z_]\w*+)[ \t]*+=[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+(,|$)', re.ASCII
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


class BadExposition(ValueError):  # noqa: N818 - named for what it says
    """Say why a text is no page of samples: ``what`` is wrong, in one line."""

    def __init__(self, what: str) -> None:
        """Keep what is wrong."""
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"no Prometheus text: {self.what}; is it an exporter's /metrics?"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number as an exporter gave it: not a finite one either, where it said so."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """The samples of a page in their order, and how many of its lines could not be read."""

    samples: tuple[Sample, ...]
    bad_lines: int = 0


def parse(text: str) -> Page:
    """Return the samples of ``text``; a line that is none is passed over and counted.

    Raises ``BadExposition`` where the text is longer than ``LONGEST`` or more of its lines are
    bad than good, as of an error page.
    """
    if len(text) > LONGEST:
        what = f"it is longer than {LONGEST} characters"
        raise BadExposition(what)
    lines = [line.strip(" \t\r") for line in text.split("\n")]
    said = [line for line in lines if line and line[0] != "#"]
    found = [_sample(line) for line in said]
    samples = tuple(sample for sample in found if sample is not None)
    bad = len(found) - len(samples)
    if bad > len(samples):
        what = f"a line reads {said[found.index(None)][:_SHOWN]!r}"
        raise BadExposition(what)
    return Page(samples, bad)


def _sample(line: str) -> Sample | None:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        return None
    name, within, digits = match.groups()
    labels = _labels(within or "")
    try:
        value = float(digits)
    except ValueError:
        return None
    return None if labels is None or "_" in digits else Sample(name, labels, value)


def _labels(within: str) -> dict[str, str] | None:
    """Return the labels that stand ``within`` the braces, None where that is not their form."""
    labels: dict[str, str] = {}
    place = 0
    while place < len(within):
        match = _LABEL.match(within, place)
        if match is None:
            return labels if labels and not within[place:].strip() else None
        name, raw, _ = match.groups()
        if name in labels:
            return None
        labels[name] = _ESCAPE.sub(_unescaped, raw) if "\\" in raw else raw
        place = match.end()
    return labels


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape[1], escape[0])
