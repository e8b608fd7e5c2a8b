"""The first line of every screen: is something wrong, how old is that, may it be relied on.

Apart from its widget, because what is left out on a narrow terminal is a decision.
"""

from dataclasses import dataclass, replace
from typing import Literal

from .format import age, number, percent
from .view import LEARNS_BLOCKS, Counts, Picture, View, count

Tone = Literal[
    "name", "silent", "controlled", "ranked", "fact", "learning", "bad", "plain", "faint"
]

APART = "  "


@dataclass(frozen=True, slots=True)
class Word:
    """A part of the line: room goes to the smallest ``rank`` first, and to rank 0 always.

    Where there is no room for ``text`` there may be for ``short``.
    """

    text: str
    tone: Tone
    rank: int = 0
    short: str = ""


def headline(picture: Picture, monotonic: float, width: int) -> tuple[Word, ...]:
    """Return the words that fit into ``width`` columns, ``APART`` from each other."""
    words = _words(picture, monotonic)
    held: dict[int, Word] = {}
    room = width + len(APART)
    for place, word in sorted(enumerate(words), key=lambda item: item[1].rank):
        texts = (word.text, word.short) if word.short else (word.text,)
        fits = next((t for t in texts if len(t) + len(APART) <= room or not word.rank), None)
        if fits is not None:
            held[place] = replace(word, text=fits)
            room -= len(fits) + len(APART)
    return tuple(held[place] for place in sorted(held))


def banner(picture: Picture, monotonic: float) -> tuple[str, Tone]:
    """Return the line below the first, if there is something to say, and its tone."""
    view, lost = picture.view, picture.lost
    if view is None:
        tried = f" {lost.reason}; trying again" if lost else ""
        return f"connecting to {picture.address} …{tried}", "bad" if lost else "plain"
    if lost is not None:
        return f"link lost: {lost.reason}; trying again. This is how it was, not how it is", "bad"
    if picture.dead(monotonic):
        return (
            f"no news for {age(picture.age(monotonic))}: this is how it was, not how it is",
            "bad",
        )
    return view.notice, "plain"


def waiting(view: View) -> str:
    """Return what is said in the place of a fleet that is not formed yet."""
    if view.waiting_hosts:
        return f"waiting for hosts: {number(view.waiting_hosts)} to come"
    return "waiting for hosts: none is known yet"


def _words(picture: Picture, monotonic: float) -> list[Word]:
    view = picture.view
    if view is None:
        return [Word("TESSERA", "name", 1), Word("no view yet", "bad" if picture.lost else "plain")]
    counts, dead = count(view), picture.dead(monotonic)
    words = [Word("TESSERA", "name", 6), Word(view.cluster, "name", 4)]
    if counts.shards:
        words += [*_open(counts), *_states(counts)]
    else:
        words.append(Word("no fleet yet", "bad"))
    old = f"view {age(picture.age(monotonic))}" + (" old" if dead else "")
    words.append(Word(old, "bad" if dead else "plain"))
    if view.clock != "live":
        words.append(Word(view.clock, "ranked", 2))
    if view.q > 0 and counts.shards:
        bound = f"FDR ≤ {percent(view.q)}"
        words.append(Word(f"{bound} this epoch", "plain", 3, short=bound))
        words.append(Word(f"checked {age(view.at - view.decided)} ago", "faint", 7))
    return [word for word in words if word.text]


def _open(counts: Counts) -> list[Word]:
    return [
        Word(f"{counts.controlled} controlled", "controlled" if counts.controlled else "faint"),
        Word(f"{counts.ranked} ranked", "ranked" if counts.ranked else "faint"),
        Word(
            f"{counts.facts} fact" + "s" * (counts.facts != 1), "fact" if counts.facts else "faint"
        ),
    ]


def _states(counts: Counts) -> list[Word]:
    """Return what keeps shards from being judged; of a zero only those that are missed."""
    out = []
    if counts.learning:
        progress = f"({counts.least_learned} of {LEARNS_BLOCKS})"
        out.append(Word(f"{number(counts.learning)} learning {progress}", "learning"))
    else:
        out.append(Word("0 learning", "faint", 5))
    others: tuple[tuple[int, str, Tone], ...] = (
        (counts.abstained, "abstained", "plain"),
        (counts.silent, "silent", "silent"),
        (counts.frozen, "frozen", "learning"),
    )
    out += [Word(f"{number(value)} {word}", tone, 1) for value, word, tone in others if value]
    return out if counts.silent else [*out, Word("0 silent", "faint", 5)]
