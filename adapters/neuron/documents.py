"""Cut a byte stream into the JSON objects in it, whatever else is in it and wherever it is cut.

Apart from the process that writes the stream, because neuron-monitor promises whole documents but
not one on each line, and what comes in must be put to its bounds without a process.
"""

import codecs
import json

LARGEST = 4 * 2**20  # characters of one document; a host with 64 devices writes 200 kB
_TAIL = 10  # characters: what is cut off there may be the first half of -Infinity or \\u0041


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
        text, at = self._kept, 0
        while (start := text.find("{", at)) >= 0:
            self.skipped += bool(text[at:start].strip())
            try:
                value, at = _DECODER.raw_decode(text, start)
            except json.JSONDecodeError as fault:
                if _is_cut_off(fault, text):
                    self._kept = text[start:]
                    return found
                self.skipped += 1
                at = max(fault.pos, start + 1)
            except (ValueError, RecursionError):  # a number of 4,300 digits, or a thousand levels
                self.skipped += 1
                at = len(text)
            else:
                if isinstance(value, dict):
                    found.append(value)
        self.skipped += bool(text[at:].strip())
        self._kept = ""
        return found


_DECODER = json.JSONDecoder()


def _is_cut_off(fault: json.JSONDecodeError, text: str) -> bool:
    """Say whether more text could heal ``fault``."""
    return fault.msg.startswith("Unterminated string") or fault.pos >= len(text) - _TAIL
