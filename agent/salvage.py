"""Read what is sound in a file of records, and say where something is missing.

Apart from the journal, of which no record may be missing: a spool with a hole is still worth
delivering.
"""

from collections.abc import Iterator
from zlib import crc32

from .journal import HEAD, HEAD_CHECKED, SEED


def salvaged(data: bytes) -> Iterator[bytes | None]:
    """Yield the sound records in ``data``, in order, and None for each hole between or after them.

    Zeros at the end, and a last record that was not written to its end, are what a kill leaves and
    no holes.
    """
    at, in_hole = 0, False
    while len(data) - at >= HEAD.size:
        size, check, head_check = HEAD.unpack_from(data, at)
        start, end = at + HEAD.size, at + HEAD.size + size
        known = crc32(data[at : at + HEAD_CHECKED], SEED) == head_check
        if known and end > len(data):
            return
        if known and crc32(data[start:end], SEED) == check:
            yield data[start:end]
            at, in_hole = end, False
            continue
        if not any(data[at:]):
            return
        if not in_hole:
            yield None
        at, in_hole = end if known else at + 1, True
