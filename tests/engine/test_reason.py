import pytest

from tessera.engine.reason import Code, Reason


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_sentence_of_one_line_made_from_its_numbers(code: Code) -> None:
    said = str(Reason(code, (1.5, 2.0), (10, 25)))
    assert said
    assert "{" not in said
    assert "\n" not in said


def test_it_says_its_numbers_and_windows() -> None:
    assert str(Reason(Code.INFLATED, (1.234,), (25, 50))) == (
        "variance inflated at [25, 50], kappa 1.23"
    )
    assert str(Reason(Code.CROSSINGS, (4, 10))) == "4 of 10 streams stand at M ≥ 20 at once"


def test_a_sentence_without_its_numbers_fails() -> None:
    with pytest.raises(IndexError):
        str(Reason(Code.KAPPA, (2.5,)))


def test_only_over_whitening_costs_no_class() -> None:
    assert [code for code in Code if not Reason(code).fault] == [Code.OVER_WHITE]
