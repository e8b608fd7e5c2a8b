import pytest

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.scored import scored, with_scores
from tessera.agent.columns import Columns

CATALOGUE = default_catalogue()
POWER, STEP_TIME = CATALOGUE.of("power_watts"), CATALOGUE.of("step_time_seconds")


def test_every_column_knows_the_metric_that_is_read_for_it() -> None:
    made = Columns.of(with_scores([POWER, STEP_TIME]))
    assert [metric.name for metric in made.read] == ["power_watts", "step_time_seconds"]
    assert made.source.tolist()[:-1] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert made.scores == (*("mean", "oscillation", "spike", "spread") * 2, "joint")


def test_the_order_of_columns_is_free() -> None:
    made = Columns.of([scored(STEP_TIME, "spike"), POWER, STEP_TIME])
    assert made.source.tolist() == [1, 0, 1]


def test_a_score_looks_at_the_bad_side_of_its_metric() -> None:
    made = Columns.of([POWER, scored(POWER, "spike"), STEP_TIME, scored(STEP_TIME, "spread")])
    assert made.direction.tolist() == [0, 0, 1, 1]


def test_a_score_without_its_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="power_watts/spread is a score of power_watts, which"):
        Columns.of([STEP_TIME, scored(POWER, "spread")])


def test_metrics_without_names_are_columns_of_their_means() -> None:
    made = Columns.means(3)
    assert made.source.tolist() == [0, 1, 2]
    assert set(made.scores) == {"mean"}
