import numpy as np
import pytest

from tessera.engine.evalue import EValue, EValues, Validity


def test_the_class_of_a_sum_is_the_weakest() -> None:
    assert min(Validity.THEOREM, Validity.EMPIRICAL, Validity.CONSTRUCTION) is Validity.EMPIRICAL
    assert [v.word for v in Validity] == ["none", "empirical", "construction", "theorem"]


@pytest.mark.parametrize("log_e", [np.nan, np.inf])
def test_missing_or_infinite_evidence_is_refused(log_e: float) -> None:
    with pytest.raises(ValueError, match="evidence is finite"):
        EValue(log_e, Validity.CONSTRUCTION)
    with pytest.raises(ValueError, match="index \\(1,\\)"):
        EValues(np.array([0.0, log_e]), np.zeros(2, dtype=np.int8))


def test_an_e_value_of_zero_is_evidence() -> None:
    values = EValues(np.array([-np.inf, 2.0]), np.array([0, 3], dtype=np.int8))
    assert len(values) == 2
    assert values[0] == EValue(-np.inf, Validity.NONE)
    assert values[1] == EValue(2.0, Validity.THEOREM)


def test_what_was_checked_cannot_change() -> None:
    log_e = np.zeros(2)
    values = EValues(log_e, np.zeros(2, dtype=np.int8))
    log_e[0] = np.nan
    assert values.log_e[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        values.log_e[0] = np.nan
    with pytest.raises(ValueError, match="read-only"):
        values.validity[0] = 3


@pytest.mark.parametrize("validity", [[0, 4], [-1, 0], [0.5, 1.0]])
def test_a_class_that_does_not_exist_is_refused(validity: list[float]) -> None:
    with pytest.raises(ValueError, match="no class"):
        EValues(np.zeros(2), np.array(validity))


def test_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must both be"):
        EValues(np.zeros(3), np.zeros(2, dtype=np.int8))
    with pytest.raises(ValueError, match="must both be"):
        EValues(np.zeros((2, 2)), np.zeros((2, 2), dtype=np.int8))
