"""Tuning keeps to its level on healthy streams, and alarms are told fleet by fleet."""

from dataclasses import replace

import numpy as np
import pytest
from rivals.charts import Given, Sigma
from rivals.rival import Rival, alarms, highest, paths, tuned, tuned_bar
from rivals.streams import CONTRAST, Feed

RIVAL = Rival("one", CONTRAST, (Given(),), "tuned", shards=2)


def feeds(watched: list[list[list[float]]]) -> dict[str, Feed]:
    """Return a feed (blocks, shards, fleets) that is given as it is."""
    return {CONTRAST: Feed(np.zeros((2, len(watched[0]), len(watched[0][0]))), np.array(watched))}


def test_a_tuned_bar_is_reached_by_the_level_and_no_more() -> None:
    top = np.arange(1.0, 101.0)
    bar = tuned_bar(top, 0.05)
    assert (top >= bar).sum() == 5


def test_equal_highest_values_are_all_kept_below_the_bar() -> None:
    assert (np.ones(100) >= tuned_bar(np.ones(100), 0.05)).sum() == 0


def test_of_several_settings_the_most_sensitive_calm_one_is_taken() -> None:
    wild, calm, calmer = Sigma(), Given(), Given()
    rival = replace(RIVAL, charts=(wild, calm, calmer), bar=1.0)
    found = tuned(rival, [np.ones(10), np.zeros(10), np.zeros(10)])
    assert found.charts[0] is calm
    assert found.fixed


def test_where_no_setting_is_calm_the_least_sensitive_is_taken() -> None:
    rival = replace(RIVAL, charts=(Sigma(), Given()), bar=1.0)
    assert tuned(rival, [np.ones(10), np.ones(10)]).charts == (Given(),)


def test_alarms_are_told_fleet_by_fleet_of_the_shards_that_are_shown() -> None:
    watched = feeds([[[0.0, 3.0], [0.0, 0.0], [9.0, 9.0]], [[3.0, 0.0], [0.0, 3.0], [9.0, 9.0]]])
    found = alarms(replace(RIVAL, bar=2.0), watched)
    assert found.tolist() == [[2.0, np.inf], [1.0, 2.0]]


def test_what_is_not_tuned_tells_no_alarms() -> None:
    with pytest.raises(ValueError, match="one has no bar yet: tune it first"):
        alarms(RIVAL, feeds([[[0.0], [0.0]]]))


def test_the_highest_of_every_setting_is_told_stream_by_stream() -> None:
    rival = replace(RIVAL, charts=(Given(), Given()))
    watched = feeds([[[1.0], [2.0]], [[0.0], [5.0]]])
    assert [top.tolist() for top in highest(rival, watched)] == [[1.0, 5.0], [1.0, 5.0]]
    assert paths(rival, Given(), watched).shape == (2, 2)
