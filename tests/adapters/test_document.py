from pathlib import Path

import pytest

from tessera.adapters.document import BadDocument, is_number, is_tellable, read_document


@pytest.mark.parametrize("value", [0, -1, 0.5, 10**300, -1e300])
def test_what_a_float_can_hold_is_a_number(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize(
    "value", [True, None, "1", float("nan"), float("inf"), 10**400, -(10**309)]
)
def test_what_no_float_can_hold_is_none(value: object) -> None:
    assert not is_number(value)


@pytest.mark.parametrize("text", ["", "gpu-0", "Rechner 1", "机架"])
def test_plain_text_fits_into_a_line(text: str) -> None:
    assert is_tellable(text)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "a\u2028b", "\x85", "\ud800"])
def test_what_breaks_a_line_or_cannot_be_written_does_not_fit(text: str) -> None:
    assert not is_tellable(text)


def test_an_integer_that_python_refuses_to_read_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" + "1" * 5000 + "]")
    with pytest.raises(BadDocument, match=r"^a\.json: holds an integer of thousands of digits; w"):
        read_document(tmp_path / "a.json")
