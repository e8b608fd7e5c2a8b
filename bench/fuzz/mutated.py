"""Random changes of samples, by hypothesis, which also makes a failing input small.

Apart from the coverage-guided engine, which may not install everywhere: this one always runs.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from .targets import Target, folder

ROUND = 200  # inputs between two looks at the clock
TOKENS = (
    *(b"", b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"\r\n", b"\t"),
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"=", b"#", b"|", b" " * 300, b"(" * 2000),
    *(b"[" * 5000, b"0", b"-1", b"1e400", b"-1e400", b"NaN", b"Infinity", b"null", b"true"),
    *(b"9" * 5000, b"18446744073709551615", b"9223372036854775794", b"4294967295", b"1e-320"),
    *("\u2028".encode(), "\ufffd".encode(), b"../../etc", b"%s%n"),
)


def inputs(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return samples with up to eight cuts, copies, swaps and insertions, and plain noise."""
    cuts = st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(TOKENS) | st.binary())
    steps = st.lists(st.tuples(st.sampled_from(tuple(_STEPS)), cuts), max_size=8)
    return st.builds(_changed, st.sampled_from([b"", *samples]), steps) | st.binary(max_size=200)


def run(target: Target, seconds: float, first_seed: int = 1) -> int:
    """Feed ``target`` for so many seconds; return with how many inputs, raise what it raised."""
    until = monotonic() + seconds
    fed = 0
    with folder() as name:
        while fed == 0 or monotonic() < until:
            _round(target, Path(name), first_seed + fed)
            fed += ROUND
    return fed


def _round(target: Target, place: Path, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(inputs(target.samples))
    def feeds(data: bytes) -> None:
        for old in place.iterdir():
            old.unlink()
        target.feed(data, place)

    feeds()


Cut = tuple[float, float, bytes]


def _changed(data: bytes, steps: Sequence[tuple[str, Cut]]) -> bytes:
    for name, (one, other, token) in steps:
        low, high = sorted((int(one * len(data)), int(other * len(data))))
        data = _STEPS[name](data, low, high, token)
    return data


_STEPS: dict[str, Callable[[bytes, int, int, bytes], bytes]] = {
    "insert": lambda data, low, _high, token: data[:low] + token + data[low:],
    "replace": lambda data, low, high, token: data[:low] + token + data[high:],
    "poke": lambda data, low, _high, token: data[:low] + token + data[low + len(token) :],
    "cut": lambda data, low, high, _token: data[:low] + data[high:],
    "end": lambda data, low, _high, _token: data[:low],
    "twice": lambda data, low, high, _token: data[:high] + data[low:high] + data[high:],
}
