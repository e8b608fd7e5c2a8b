import numpy as np
import pytest

from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.change import LEARNING_BLOCKS, OFFSET_BLOCKS, ChangeChannel
from tessera.engine.level import REVIEWS
from tessera.engine.outcome import Outcome, Summary
from tessera.engine.peers import central, leave_one_out_median, plain_median
from tessera.engine.ranks import stream_key
from tessera.engine.streams import Float32s, Streams

ROWS, METRICS, HORIZON, CROSSING = 32, 2, 1000, np.log(100.0)
MARGIN, NOISE = 0.05, 0.01
UP: Ints = np.ones(METRICS, dtype=np.int64)


def streams(rows: int = ROWS, direction: Ints = UP, first: int = 0) -> Streams:
    names = [[f"gpu-{first + i}/{j}" for j in range(len(direction))] for i in range(rows)]
    keys = np.array([[stream_key(name) for name in row] for row in names], dtype=np.uint64)
    return Streams(keys, direction, HORIZON)


def values(seed: int, blocks: int, rows: int = ROWS, metrics: int = METRICS) -> Floats:
    """Blocks x rows x metrics: independent noise of sd 0.01 about a common, wandering level."""
    rng = np.random.default_rng(seed)
    common = np.cumsum(0.02 * rng.normal(size=(blocks, 1, metrics)), axis=0)
    return common + NOISE * rng.normal(size=(blocks, rows, metrics))


def summary(x: Float32s, offset: Float32s, included: Bools) -> Summary:
    """Return what a group of all rows is told about itself."""
    seen = np.where(included[:, None], x, np.float32(np.nan))
    raw, demeaned = central(seen), central(seen - offset)
    rows = np.zeros(len(x), dtype=np.int64)
    return Summary(
        count_raw=raw.count[None][rows],
        s3_raw=raw.s3[None][rows].astype(np.float32),
        count_demeaned=demeaned.count[None][rows],
        s3_demeaned=demeaned.s3[None][rows].astype(np.float32),
        included=included,
    )


def play(
    made: Streams, x: Floats, first: int = 0, included: Bools | None = None, needed: int = 3
) -> list[Outcome]:
    """Feed ``x`` (blocks, S, M) and return every outcome."""
    here = np.ones(x.shape[1], dtype=np.bool_) if included is None else included
    members = np.full(x.shape[1], needed, dtype=np.int64)
    out = []
    for b, row in enumerate(x.astype(np.float32)):
        told = summary(row, made.offset, here)
        out.append(made.step(first + b, row, told, members, members))
    return out


def adopt(made: Streams, phi: float = 0.0, kappa: float = 1.0, epoch: int | Ints = 0) -> Streams:
    """Let the plan of the change channel say the same of every stream."""
    made.adopt_change(
        np.full(made.shape, phi), np.full(made.shape, kappa), np.broadcast_to(epoch, made.shape)
    )
    return made


def adopt_level(
    made: Streams, margin: float = MARGIN, largest: float = 0.9, epoch: int | Ints = 0
) -> Streams:
    made.adopt_level(
        np.full(made.shape, margin),
        np.full(made.shape, largest),
        np.broadcast_to(epoch, made.shape),
    )
    return made


def column(j: int, epoch: int = 0) -> Ints:
    """Return epochs (1, M) of a plan that has streams in column ``j`` only."""
    return np.where(np.arange(METRICS) == j, epoch, -1)[None]


def test_null_rows_that_move_with_their_peers_stay_quiet_on_both_channels() -> None:
    made = adopt_level(adopt(streams()))
    out = play(made, values(121, 500))
    assert out[-1].learned.min() == LEARNING_BLOCKS
    assert max(o.change.max() for o in out) < CROSSING
    assert max(o.level.max() for o in out) < CROSSING


def test_power_a_row_that_leaves_its_peers_is_found_by_both_channels_and_no_other_is() -> None:
    made, x = adopt_level(adopt(streams())), values(122, 360)
    x[300:, 4, 1] += 0.08
    last = play(made, x)[-1]
    for log_m, onset in ((last.change, last.change_onset), (last.level, last.level_onset)):
        assert np.argwhere(log_m >= CROSSING).tolist() == [[4, 1]]
        assert abs(onset[4, 1] - 300) <= 2


def test_power_the_level_channel_needs_no_learning() -> None:
    x = values(123, 60)
    x[:, 4, 0] += 0.08
    out = play(adopt_level(adopt(streams())), x)
    assert out[39].level[4, 0] >= CROSSING
    assert out[39].level_onset[4, 0] == 0
    assert (out[-1].change == 0.0).all()


def test_where_down_is_bad_only_falling_is_blamed() -> None:
    x = values(124, 60)
    x[:, 4, 0] -= 0.08
    x[:, 5, 0] += 0.08
    last = play(adopt_level(streams(direction=-UP)), x)[-1]
    assert np.argwhere(last.level >= CROSSING).tolist() == [[4, 0]]


def test_without_a_plan_there_is_no_stream_and_no_evidence() -> None:
    made = streams()
    out = play(made, values(125, 1))[0]
    assert np.isnan(out.change).all()
    assert np.isnan(out.level).all()
    for numbers in (out.learned, out.change_onset, out.level_onset):
        assert (numbers == -1).all()
    for news in (out.lags, out.baseline, out.long_run, out.long_run_scores, out.review):
        assert news is None
    assert out.windows == {}


def test_a_stream_exists_where_the_plan_opened_it_and_nowhere_else() -> None:
    epoch = np.full((ROWS, METRICS), -1)
    epoch[:20, 1] = 0
    out = play(adopt(streams(), epoch=epoch), values(126, 2))[-1]
    assert (np.isfinite(out.change) == (epoch == 0)).all()
    assert (out.learned == np.where(epoch == 0, 2, -1)).all()


def test_streams_opened_later_learn_from_then_on_and_disturb_nobody() -> None:
    x = values(127, 260)
    alone, joined = adopt(streams(), epoch=column(0)), adopt(streams(), epoch=column(0))
    first = play(alone, x)[-1]
    play(joined, x[:40])
    adopt(joined)
    last = play(joined, x[40:], first=40)[-1]
    assert last.learned[0].tolist() == [LEARNING_BLOCKS, LEARNING_BLOCKS]
    assert np.isfinite(last.change).all()
    np.testing.assert_array_equal(last.change[:, 0], first.change[:, 0])


def test_two_batches_count_their_learning_apart() -> None:
    made, x = adopt(streams(), epoch=column(0)), values(128, 70)
    play(made, x[:40])
    out = play(adopt(made), x[40:], first=40)[-1]
    assert (out.learned == [70, 30]).all()


def test_to_hear_the_same_plan_again_changes_nothing() -> None:
    x = values(129, 300)
    once, often = adopt_level(adopt(streams())), streams()
    for b, row in enumerate(x):
        play(adopt_level(adopt(often)), row[None], first=b)
    last, same = play(once, x)[-1], play(often, x[:0])
    assert same == []
    expected = play(often, values(130, 1), first=300)[0]
    found = play(once, values(130, 1), first=300)[0]
    assert (last.change != 0.0).all()
    np.testing.assert_array_equal(found.change, expected.change)
    np.testing.assert_array_equal(found.level, expected.level)


def test_streams_that_wait_for_phi_report_their_lags_until_they_have_it() -> None:
    made, x = adopt(streams(), np.nan, np.nan, epoch=column(1)), values(131, 206)
    out = play(made, x[:203])
    assert [b for b, o in enumerate(out) if o.lags is not None] == [199, 200, 201, 202]
    lags = out[-1].lags
    assert lags is not None
    assert lags.shape == (ROWS, METRICS, 3)
    assert np.isnan(lags[:, 0]).all()
    assert (lags[:, 1, 0] == LEARNING_BLOCKS - OFFSET_BLOCKS - 1).all()
    assert play(adopt(made, 0.0, np.nan, epoch=column(1)), x[203:], first=203)[0].lags is None


def test_streams_that_settle_report_their_baseline_in_ten_blocks_and_until_they_have_a_kappa() -> (
    None
):
    known, unknown = adopt(streams(), epoch=column(1)), adopt(streams(), 0.0, np.nan, column(1))
    out, waiting = play(known, values(132, 215)), play(unknown, values(132, 215))
    assert [b for b, o in enumerate(out) if o.baseline is not None] == list(range(199, 209))
    assert [b for b, o in enumerate(waiting) if o.baseline is not None] == list(range(199, 215))
    baseline = out[208].baseline
    assert baseline is not None
    assert baseline.shape == (ROWS, METRICS, 100)
    assert np.isnan(baseline[:, 0]).all()
    assert np.isfinite(baseline[:, 1]).all()


def test_completed_windows_bring_the_long_run_variance_with_them() -> None:
    out = play(adopt(streams(), epoch=column(1)), values(133, 226))
    told = {b - 199: sorted(o.windows) for b, o in enumerate(out) if o.windows}
    assert told == {10: [10], 20: [10], 25: [25]}
    at_ten, at_25 = out[209], out[224]
    assert at_ten.windows[10].shape == (ROWS, METRICS)
    assert np.isnan(at_ten.windows[10][:, 0]).all()
    assert at_ten.long_run is not None
    assert np.isnan(at_ten.long_run).all()
    assert at_25.long_run is not None
    assert at_25.long_run_scores is not None
    assert (np.isfinite(at_25.long_run) == [False, True]).all()
    assert (at_25.long_run_scores == [-1, 25]).all()
    assert out[225].long_run is None


def test_a_level_review_comes_when_it_is_due_with_whole_arrays() -> None:
    out = play(adopt_level(streams(), epoch=column(1)), values(134, 70))
    assert [b + 1 for b, o in enumerate(out) if o.review is not None] == list(REVIEWS[:2])
    review = out[REVIEWS[0] - 1].review
    assert review is not None
    assert review.median.shape == (ROWS, METRICS)
    assert review.runs.shape == review.plusses.shape == (ROWS, METRICS, 5)
    assert (review.observed == [-1, 20]).all()
    assert (review.runs[:, 0] == -1).all()
    assert (np.isfinite(review.lag_one) == [False, True]).all()


def test_offsets_appear_after_fifty_blocks_in_the_precision_that_is_sent() -> None:
    made, x = adopt(streams()), values(135, 60)
    x[:, 3] += 0.5
    play(made, x[: OFFSET_BLOCKS - 1])
    assert np.isnan(made.offset).all()
    play(made, x[OFFSET_BLOCKS - 1 :], first=OFFSET_BLOCKS - 1)
    assert made.offset.dtype == np.float32
    assert made.offset[3] - np.median(made.offset) == pytest.approx(np.full(2, 0.5), abs=0.01)


def test_no_onset_is_named_where_there_is_hardly_any_evidence() -> None:
    out = play(adopt_level(adopt(streams())), values(136, 300))
    for o in out:
        assert (o.change_onset[o.change < 1.0] == -1).all()
        assert (o.level_onset[o.level < 1.0] == -1).all()


def ill(seed: int, blocks: int = 330) -> Floats:
    """Return values of which row 4 leaves its peers from block 300 on."""
    x = values(seed, blocks)
    x[300:, 4] += 0.2
    return x


def test_with_fewer_members_than_needed_everybody_learns_and_nobody_bets() -> None:
    out = play(adopt_level(adopt(streams())), ill(137), needed=ROWS + 1)
    assert out[-1].learned.min() == LEARNING_BLOCKS
    assert (out[-1].change == 0.0).all()
    assert (out[-1].level == 0.0).all()
    assert play(adopt_level(adopt(streams())), ill(137), needed=ROWS)[-1].change[4, 0] > CROSSING


def test_a_block_that_lost_too_many_members_is_not_bet_and_the_next_one_is() -> None:
    made, x = adopt(streams()), values(138, 212)
    play(made, x[:210])
    x[210, 20:] = np.nan
    before, during, after = play(made, np.insert(x[209:], 0, x[208], axis=0), 208, needed=24)[1:]
    np.testing.assert_array_equal(before.change, during.change)
    assert (during.change != after.change).all()


def test_a_row_that_is_not_included_learns_and_never_bets() -> None:
    made, included = adopt_level(adopt(streams())), np.arange(ROWS) != 4
    last = play(made, ill(139), included=included)[-1]
    assert last.learned[4].tolist() == [LEARNING_BLOCKS] * 2
    assert (last.change[4] == 0.0).all()
    assert (last.level[4] == 0.0).all()
    assert (np.delete(last.change, 4, axis=0) != 0.0).all()


def test_without_a_summary_nothing_is_bet_and_nothing_is_learned() -> None:
    made, out = adopt_level(adopt(streams())), []
    nobody = np.zeros(ROWS, dtype=np.bool_)
    out = play(made, values(140, 30), included=nobody)
    assert (out[-1].learned == 0).all()
    assert (out[-1].change == 0.0).all()
    assert (out[-1].level == 0.0).all()


def test_a_missing_value_makes_no_bet_on_either_channel() -> None:
    made, x = adopt_level(adopt(streams())), values(141, 212)
    x[211, 4, 0] = np.nan
    *_, before, after = play(made, x)
    same = (before.change == after.change) & (before.level == after.level)
    assert np.argwhere(same).tolist() == [[4, 0]]


def apart(seed: int, blocks: int) -> Floats:
    """Return values of rows whose own levels differ by a hundred times the noise."""
    offsets = np.random.default_rng(seed + 1000).normal(0.0, 100 * NOISE, size=(ROWS, METRICS))
    return values(seed, blocks) + offsets


@pytest.mark.parametrize("seed", [142, 145, 147])
def test_null_members_that_come_and_go_move_nobody_however_far_apart_they_stand(seed: int) -> None:
    x = apart(seed, 500)
    x[:100, 7] = np.nan
    x[350:, 8:11] = np.nan
    out = play(adopt(streams()), x)
    assert out[-1].learned.min() == LEARNING_BLOCKS
    assert max(o.change.max() for o in out) < CROSSING


def test_who_joins_later_is_measured_against_peers_that_know_their_offsets() -> None:
    made, x = adopt(streams()), apart(142, 430)
    x[:100, 7] = np.nan
    x[400:, 7] += 8 * NOISE
    out = play(made, x)
    assert out[299].learned[7].tolist() == [LEARNING_BLOCKS] * 2
    assert max(o.change.max() for o in out[:400]) < CROSSING
    assert out[-1].change[7].min() >= CROSSING


def test_an_epoch_that_grew_begins_at_one_and_the_others_go_on() -> None:
    made, x = adopt_level(adopt(streams())), values(144, 261)
    before = play(made, x[:260])[-1]
    adopt_level(adopt(made, epoch=np.array([[0, 1]])), epoch=np.array([[0, 1]]))
    quiet = np.full((1, ROWS, METRICS), np.nan)
    after = play(made, quiet, first=260)[0]
    assert (after.change[:, 1] == 0.0).all()
    assert (after.level[:, 1] == 0.0).all()
    np.testing.assert_array_equal(after.change[:, 0], before.change[:, 0])
    np.testing.assert_array_equal(after.level[:, 0], before.level[:, 0])
    assert after.learned.min() == LEARNING_BLOCKS


def test_another_phi_in_a_new_epoch_is_learned_anew_and_in_the_same_epoch_ignored() -> None:
    made, x = adopt(streams()), values(145, 212)
    play(made, x[:210])
    assert play(adopt(made, phi=0.3), x[210:211], first=210)[0].learned.min() == LEARNING_BLOCKS
    last = play(adopt(made, phi=0.3, epoch=1), x[211:], first=211)[0]
    assert (last.learned == OFFSET_BLOCKS + 1).all()
    assert (last.change == 0.0).all()


def test_a_margin_is_taken_at_the_start_of_an_epoch_and_at_no_other_time() -> None:
    x = values(146, 60)
    x[:, 4] += 0.08
    finds, spares = (adopt_level(streams(), MARGIN) for _ in range(2))
    adopt_level(finds, margin=0.2, epoch=0)
    adopt_level(spares, margin=0.2, epoch=1)
    assert play(finds, x)[-1].level[4].min() >= CROSSING
    assert play(spares, x)[-1].level[4].max() < CROSSING


@pytest.mark.parametrize("epoch", [0, 3])
def test_a_grid_that_is_cut_when_a_stream_opens_is_cut_from_its_first_bet(epoch: int) -> None:
    x = values(147, 30)
    x[:, 4] += 0.2
    whole, cut, none = (
        play(adopt_level(streams(), largest=largest, epoch=epoch), x)[-1].level[4, 0]
        for largest in (0.9, 0.25, 0.0)
    )
    assert whole > cut > 0.0 >= none


def test_the_table_says_what_one_channel_by_itself_says() -> None:
    made, x = adopt(streams(direction=UP[:1]), phi=0.3), values(148, 260, metrics=1)
    keys = np.array([stream_key(f"gpu-{i}/0") for i in range(ROWS)], dtype=np.uint64)
    alone = ChangeChannel(keys, np.ones(ROWS, dtype=np.int64), HORIZON)
    alone.phi[:], alone.kappa[:] = 0.3, 1.0
    for b, row in enumerate(x[..., 0].astype(np.float32)):
        y = alone.demeaned(row)
        first = bool(np.isnan(y).any())
        middle = central((row if first else y)[:, None])
        others = leave_one_out_median(y, middle.count[0], middle.s3[0])
        whole = np.full(ROWS, plain_median(middle.count[0], middle.s3[0]))
        alone.step(b, row, whole if first else others, np.ones(ROWS, dtype=np.bool_))
        alone.settle(alone.ready())
    np.testing.assert_array_equal(play(made, x)[-1].change[:, 0], alone.log_m())


def test_rows_split_over_two_tables_have_the_evidence_that_they_had_in_one() -> None:
    x, every = values(149, 270), np.ones(ROWS, dtype=np.bool_)
    x[230:, 4] += 0.05
    cuts = (slice(11), slice(11, ROWS))
    whole = adopt_level(adopt(streams()))
    parts = [adopt_level(adopt(streams(11))), adopt_level(adopt(streams(ROWS - 11, first=11)))]
    found = [np.empty(0)]
    for b, row in enumerate(x.astype(np.float32)):
        told, needed = summary(row, whole.offset, every), np.full(ROWS, 3, dtype=np.int64)
        outcomes = [whole.step(b, row, told, needed, needed)]
        for part, rows in zip(parts, cuts, strict=True):
            mine = needed[rows]
            outcomes.append(part.step(b, row[rows], rows_of(told, rows), mine, mine))
        found = [np.hstack([o.change, o.level]) for o in outcomes]
    np.testing.assert_allclose(np.vstack(found[1:]), found[0], rtol=1e-12)
    assert (found[0] != 0.0).all()


def rows_of(told: Summary, rows: slice) -> Summary:
    return Summary(
        told.count_raw[rows],
        told.s3_raw[rows],
        told.count_demeaned[rows],
        told.s3_demeaned[rows],
        told.included[rows],
    )


def test_rows_that_begin_anew_go_on_as_streams_that_were_opened_then_to_the_last_bit() -> None:
    x, phi = values(150, 500), 0.2
    made, young = (adopt_level(adopt(streams(), phi)) for _ in range(2))
    play(made, x[:260])
    made.anew(np.arange(ROWS))
    adopt_level(adopt(made, phi))
    found, expected = (play(s, x[260:], first=260)[-1] for s in (made, young))
    for name in ("change", "level", "learned", "change_onset", "level_onset"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_array_equal(made.offset, young.offset)
    assert (found.change != 0.0).all()


def test_rows_that_begin_anew_have_forgotten_and_the_others_have_nothing_to_notice() -> None:
    made, plain = (adopt_level(adopt(streams())) for _ in range(2))
    x, some = values(151, 262), np.array([4, 7])
    x[225:, 4] += 0.2
    for one in (made, plain):
        play(one, x[:260])
    made.anew(some)
    assert np.isnan(made.offset[some]).all()
    after, before = (play(one, x[260:261], first=260)[0] for one in (made, plain))
    assert before.change[4].min() > CROSSING
    assert (after.change[some] == 0.0).all()
    assert (after.level[some] == 0.0).all()
    assert (after.learned[some] == 1).all()
    rest = np.delete(np.arange(ROWS), some)
    np.testing.assert_array_equal(after.level[rest], before.level[rest])
    assert (after.learned[rest] == LEARNING_BLOCKS).all()
    np.testing.assert_array_equal(after.change_epoch, before.change_epoch)


def test_a_row_that_begins_anew_bets_on_no_level_before_the_plan_gives_it_a_margin() -> None:
    made, x = adopt_level(streams()), values(152, 80)
    x[:, 4] += 0.08
    made.anew(np.array([4]))
    assert (play(made, x[:40])[-1].level[4] == 0.0).all()
    adopt_level(made)
    assert play(made, x[40:], first=40)[-1].level[4].min() >= CROSSING


def test_the_baseline_of_a_row_that_begins_anew_is_told_no_more() -> None:
    made, x = adopt(streams(), 0.0, np.nan), values(153, 202)
    assert play(made, x[:201])[-1].baseline is not None
    made.anew(np.array([4]))
    baseline = play(made, x[201:], first=201)[0].baseline
    assert baseline is not None
    assert np.isnan(baseline[4]).all()
    assert np.isfinite(np.delete(baseline, 4, axis=0)).all()
    made.anew(np.arange(ROWS))
    assert play(made, x[201:], first=202)[0].baseline is None
