from dataclasses import replace

import numpy as np

from tessera.aggregator.plan.reports import Reports
from tessera.aggregator.state.move import Move

from ..fleets import flat, fleet_of, notes, outcome


def test_what_hosts_report_is_put_together_by_row_and_rung() -> None:
    reports = Reports(5, 1)
    for rung, value in ((5, 1.5), (30, 2.5)):
        told = replace(
            outcome(2), long_run=np.full((2, 1), value), long_run_scores=np.full((2, 1), 40)
        )
        assert reports.hear_long_run(rung, np.array([3, 1]), told)
    variance, scores = reports.long_run(5)
    np.testing.assert_array_equal(variance[:, 0], [np.nan, 1.5, np.nan, 1.5, np.nan])
    assert scores[:, 0].tolist() == [0, 40, 0, 40, 0]
    assert reports.long_run(30)[0][3, 0] == 2.5


def test_an_outcome_without_a_report_changes_nothing() -> None:
    reports = Reports(5, 1)
    reports.hear_notes(5, np.arange(5), replace(outcome(5), review=notes(5, observed=20)))
    assert not reports.hear_notes(5, np.arange(5), outcome(5))
    assert not reports.hear_long_run(5, np.arange(5), outcome(5))
    assert (reports.notes(5).observed == 20).all()


def test_rows_that_were_not_heard_of_have_no_notes() -> None:
    reports = Reports(5, 1)
    assert reports.hear_notes(5, np.arange(2), replace(outcome(2), review=notes(2, median=0.3)))
    found = reports.notes(5)
    assert found.observed[:, 0].tolist() == [20, 20, -1, -1, -1]
    assert np.isnan(found.median[2:]).all()


def test_reports_go_with_their_rows_to_another_fleet() -> None:
    before, after = fleet_of(flat(3)), fleet_of(flat(5))
    reports, moved = Reports(4, 1), Reports(6, 1)
    medians = np.array([0.1, 0.2, 0.3, 0.4])
    reports.hear_notes(5, np.arange(4), replace(outcome(4), review=notes(4, median=medians)))
    moved.inherit(reports, Move.of(before, after))
    expected = [0.1, 0.2, 0.3, np.nan, np.nan, 0.4]
    np.testing.assert_array_equal(moved.notes(5).median[:, 0], expected)
