from datetime import timedelta, timezone
from math import inf, log, nan

import numpy as np
import pytest

from tessera.tui import format as say

from .scene import AT

ZONE = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("log_e", "words"),
    [
        (log(10) * 5.19, "10^5.1"),
        (-0.5, "10^-0.3"),
        (0.0, "10^0.0"),
        (nan, "–"),
        (-inf, "0"),
    ],
)
def test_evidence_is_a_power_of_ten_rounded_down(log_e: float, words: str) -> None:
    assert say.evidence(log_e) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.42, "0.4 s"),
        (9.96, "9 s"),
        (59.9, "59 s"),
        (1080, "18 min"),
        (7200, "2 h"),
        (12_000, "3 h 20 min"),
        (190_000, "2 d 4 h"),
        (-3, "0.0 s"),
        (nan, "–"),
    ],
)
def test_an_age_has_one_or_two_units(seconds: float, words: str) -> None:
    assert say.age(seconds) == words


def test_times_are_local_and_carry_their_offset() -> None:
    assert say.full_moment(AT, ZONE) == "2025-11-23 19:32:10 +05:30"
    assert say.moment(AT, AT + 60, ZONE) == "19:32"
    assert say.offset(AT, ZONE) == "+05:30"


def test_a_time_of_another_day_has_its_date() -> None:
    assert say.moment(AT, AT + 86_400, ZONE) == "11-23 19:32"


def test_a_recording_that_starts_at_zero_has_elapsed_times() -> None:
    assert say.moment(1815.0, 2000.0, ZONE) == "0:30:15"
    assert say.full_moment(1815.0, ZONE) == "0:30:15 of the recording"
    assert say.offset(1815.0, ZONE) == ""


def test_plain_text_is_ascii() -> None:
    assert say.plain("FDR ≤ 10 % · r1 × 8 … ▁█ é") == "FDR <= 10 % . r1 x 8 ... 18 ?"


def test_a_sparkline_goes_from_least_to_most_and_leaves_gaps() -> None:
    values = np.array([0.0, 0.0, nan, nan, 8.0, 8.0])
    assert say.sparkline(values, 3) == "▁ █"


def test_a_sparkline_of_equal_values_is_flat() -> None:
    assert say.sparkline(np.full(10, 3.0), 5) == "▁▁▁▁▁"


def test_a_long_list_says_how_many_are_left_out() -> None:
    assert say.joined(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"
    assert say.joined(["a", "b"], 3) == "a, b"


@pytest.mark.parametrize(("value", "words"), [(9.7416, "+9.74"), (-0.5, "-0.5"), (-inf, "none")])
def test_a_bound_has_its_sign_or_is_not_there(value: float, words: str) -> None:
    assert say.bound(value, "none") == words
