"""Cut a byte stream into the JSON objects in it, whatever else is in it and wherever it is cut.

Apart from the process that writes the stream, because neuron-monitor promises whole documents but
not one on each line, and what comes in must be put to its bounds without a process.
"""

import codecs
import json

LARGEST = 4 * 2**20  # characters of one document; a host with 64 devices writes 200 kB
_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_LONGEST_WORD = max(map(len, _WORDS))
_MOST_FAULTS = 200  # on one line: each costs as much as the text before it is long
_HALVES = {".", "e", "E", "e+", "E+", "e-", "E-"}  # of a number, behind its first digits


class Documents:
    """Take bytes as they come, give objects as they are complete.

    ``skipped`` counts runs of what is not JSON, ``oversized`` documents beyond ``largest``
    characters, which are dropped with all that follows them on their line.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        """Start with nothing read; never more than ``largest`` characters are kept."""
        self.skipped = 0
        self.oversized = 0
        self._largest = largest
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._kept = ""
        self._dropping = False

    @property
    def kept(self) -> int:
        """Return how many characters wait for the end of their document."""
        return len(self._kept)

    def feed(self, data: bytes) -> list[dict[str, object]]:
        """Return the objects that ``data`` completes, oldest first."""
        text = self._decoder.decode(data)
        found: list[dict[str, object]] = []
        for start in range(0, len(text), self._largest):
            found += self._take(text[start : start + self._largest])
        return found

    def _take(self, text: str) -> list[dict[str, object]]:
        if self._dropping:
            self._kept = self._resumed(self._kept + text)
        else:
            self._kept += text
        found = self._complete() if "}" in text and not self._dropping else []
        if len(self._kept) > self._largest:
            self.oversized += 1
            self._dropping = True
            self._kept = self._kept[-1:]
        return found

    def _resumed(self, text: str) -> str:
        """Return what follows a dropped document: an object at the beginning of a line."""
        at = text.find("\n{")
        self._dropping = at < 0
        return text[-1:] if at < 0 else text[at + 1 :]

    def _complete(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        text, at, faults = self._kept, 0, 0
        while (start := text.find("{", at)) >= 0:
            if faults > _MOST_FAULTS:
                start = _next_line(text, start)
                faults = 0
                if start == len(text):
                    break
            self.skipped += bool(text[at:start].strip())
            try:
                value, at = _DECODER.raw_decode(text, start)
            except json.JSONDecodeError as fault:
                if _is_cut_off(fault, text):
                    self._kept = text[start:]
                    return found
                self.skipped += 1
                faults += 1
                at = max(fault.pos, start + 1)
            except (ValueError, RecursionError):  # a number of 4,300 digits, or a thousand levels
                self.skipped += 1
                at = _next_line(text, start)
            else:
                if isinstance(value, dict):
                    found.append(value)
        self.skipped += bool(text[at:].strip())
        self._kept = ""
        return found


_DECODER = json.JSONDecoder()


def _next_line(text: str, start: int) -> int:
    """Return where the next line that begins with an object begins, or the end of ``text``."""
    line = text.find("\n{", start)
    return len(text) if line < 0 else line + 1


def _is_cut_off(fault: json.JSONDecodeError, text: str) -> bool:
    """Say whether more text could heal ``fault``."""
    if fault.msg.startswith("Unterminated string"):
        return True
    rest = text[fault.pos : fault.pos + _LONGEST_WORD + 1]
    if not rest:
        return True
    if fault.msg.startswith("Invalid \\u"):
        return len(rest) <= len("\\u0041")
    if fault.msg.startswith("Expecting value"):
        return any(word.startswith(rest) for word in _WORDS)
    return rest in _HALVES
