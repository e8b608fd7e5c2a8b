"""What the peers of a stream show at one instant, from three order statistics of the group.

Apart, because it is all an agent ever learns about its peers and must be exact to the last bit.
Order statistics S are 0-based, K the values present, h = (K - 1) // 2 (statistics.md G6).
Null: equal to brute force for K = 3..65, with ties.  Power: one extreme value moves no median.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, refuse_infinite

FEWEST = 3  # members below which nothing can be said about anyone's peers

Values = npt.NDArray[np.float32 | np.float64]


@dataclass(frozen=True, slots=True)
class Central:
    """The middle of a group, per column: how many values, and S[h-1], S[h], S[h+1]."""

    count: Ints  # (m,)
    s3: Values  # (m, 3), in the precision of the values; NaN where count < 3


def central(values: Values) -> Central:
    """Return the centre of each column of ``values`` (k members, m columns); NaN is no value.

    Raises ``ValueError`` for an infinity.
    """
    refuse_infinite("a peer value", values)
    members, columns = values.shape
    count = np.count_nonzero(~np.isnan(values), axis=0).astype(np.int64)
    if members < FEWEST:
        return Central(count, np.full((columns, 3), np.nan, dtype=values.dtype))
    ordered = np.sort(values, axis=0)  # NaN goes last
    middle = np.maximum((count - 1) // 2, 1)
    s3 = np.take_along_axis(ordered, middle + np.array([[-1], [0], [1]]), axis=0).T
    return Central(count, np.where((count >= FEWEST)[:, None], s3, np.nan).astype(values.dtype))


def leave_one_out_median(own: Values, count: Ints, s3: Values) -> Floats:
    """Return the exact median of the values behind ``s3`` without ``own``, which is one of them.

    ``own`` (...), ``count`` (...) and ``s3`` (..., 3) broadcast; the result is float64, NaN where
    ``own`` is NaN or fewer than three values are present.
    Raises ``TypeError`` if ``own`` and ``s3`` differ in precision: the comparison would go wrong.
    """
    lower, upper = _middle_of_others(own, count, s3)
    return (lower + upper) / 2.0


def bad_side_median(own: Values, count: Ints, s3: Values, direction: Ints) -> Floats:
    """Return the worse of the others' two central values: the larger where ``direction`` is +1.

    With an odd number of others both are the leave-one-out median.  Shapes and errors as there;
    ``direction`` (...) in {-1, +1}, anything else raises ``ValueError``.
    """
    if (np.abs(direction) != 1).any():
        message = "the bad direction of a level stream is -1 or +1"
        raise ValueError(message)
    lower, upper = _middle_of_others(own, count, s3)
    return np.where(direction > 0, upper, lower)


def plain_median(count: Ints, s3: Values) -> Floats:
    """Return the median of all values behind ``s3`` (..., 3): NaN where fewer than three."""
    _low, middle, high = _columns(s3)
    return np.where(count % 2 == 1, middle, (middle + high) / 2.0)


def _middle_of_others(own: Values, count: Ints, s3: Values) -> tuple[Floats, Floats]:
    """Return the two central values of the others (the same one twice if they are odd)."""
    if own.dtype != s3.dtype:
        message = f"own is {own.dtype}, s3 is {s3.dtype}: compare the value that was sent"
        raise TypeError(message)
    own64 = own.astype(np.float64)  # exact, so the comparisons are those of the sent precision
    low, middle, high = _columns(s3)
    upper = np.where(own64 <= middle, high, middle)
    others_even: Bools = count % 2 == 1
    lower = np.where(others_even, np.where(own64 <= low, middle, low), upper)
    absent: Bools = np.isnan(own64)
    return np.where(absent, np.nan, lower), np.where(absent, np.nan, upper)


def _columns(s3: Values) -> tuple[Floats, Floats, Floats]:
    wide = s3.astype(np.float64)
    return wide[..., 0], wide[..., 1], wide[..., 2]
