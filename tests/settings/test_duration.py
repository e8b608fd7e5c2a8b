import pytest

from tessera.settings.duration import duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("1.5 h", 5400.0), ("1d", 86_400.0), ("0", 0.0)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "5 minutes", "1e9", "nan", "9999999999", "٣m"])
def test_what_is_no_duration_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90s, 15m or 2h"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "said"), [(900.0, "15 min"), (90.0, "90 s"), (7200.0, "2 h"), (0.5, "0.5 s")]
)
def test_durations_are_said_in_the_largest_unit_that_is_whole(seconds: float, said: str) -> None:
    assert duration(seconds) == said
