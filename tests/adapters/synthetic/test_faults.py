import numpy as np
import pytest

from tessera.adapters.synthetic.faults import BadFault, Fault, Planted, parse_fault

ROWS = {"a": [0], "b": [1], "host": [0, 1]}
METRICS = ("power", "heat")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gpu:power:+4sd@5000", Fault("gpu", "power", "step", 4.0, 5000)),
        ("gpu:power:-.5sd@0-7", Fault("gpu", "power", "step", -0.5, 0, 7)),
        ("gpu:power:+8%@700-900", Fault("gpu", "power", "step", 0.08, 700, 900, "fraction")),
        (
            "0000:3b:00.0:*:slope-2%@9",
            Fault("0000:3b:00.0", "*", "slope", -0.02, 9, None, "fraction"),
        ),
        ("gpu:power:spread*3@1", Fault("gpu", "power", "spread", 3.0, 1, None, "factor")),
        (
            "gpu:power:wave+.7sd/6@9",
            Fault("gpu", "power", "oscillation", 0.7, 9, None, "sd", 6),
        ),
        (
            "gpu:power:spikes+5%/20@9-90",
            Fault("gpu", "power", "spikes", 0.05, 9, 90, "fraction", 20),
        ),
        ("gpu:power:flatline@1", Fault("gpu", "power", "flatline", 0.0, 1)),
        ("gpu:power:missing@1-2", Fault("gpu", "power", "missing", 0.0, 1, 2)),
    ],
)
def test_a_fault_is_read_from_one_word(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gpu",
        "gpu:power",
        ":power:+4sd@1",
        "gpu::+4sd@1",
        "gpu:power:4sd@1",
        "gpu:power:+4@1",
        "gpu:power:+4sd",
        "gpu:power:+4sd@-1",
        "gpu:power:+4sd@1-",
        "gpu:power:spread+3@1",
        "gpu:power:wave+1sd@1",
        "gpu:power:wave-1sd/6@1",
        "gpu:power:spikes*3/6@1",
    ],
)
def test_what_is_not_understood_is_shown_with_the_grammar(text: str) -> None:
    with pytest.raises(BadFault, match="is not understood; write NODE:METRIC:WHAT@ONSET"):
        parse_fault(text)


def test_a_fault_that_ends_before_it_begins_is_refused_with_its_text() -> None:
    with pytest.raises(BadFault, match="fault 'gpu:power:\\+4sd@9-9': it ends before it begins"):
        parse_fault("gpu:power:+4sd@9-9")


def test_an_unknown_node_or_metric_is_refused() -> None:
    with pytest.raises(BadFault, match="there is no such node; name a shard"):
        Planted([parse_fault("c:power:+1sd@0")], ROWS, METRICS)
    with pytest.raises(BadFault, match="no metric 'colour'; use \\* or one of: power, heat"):
        Planted([parse_fault("a:colour:+1sd@0")], ROWS, METRICS)


def planted(text: str, values: np.ndarray, start: int = 0) -> np.ndarray:
    plan = Planted([parse_fault(text)], ROWS, METRICS)
    plan.shift(values, np.array([2.0, 5.0]), start)
    plan.silence(values, start)
    return values


def test_a_step_in_deviations_uses_those_of_its_metric() -> None:
    values = planted("a:heat:+3sd@1-3", np.zeros((4, 2, 2)))
    assert values[:, 0, 1].tolist() == [0.0, 15.0, 15.0, 0.0]
    assert (values[..., 0] == 0).all()


def test_a_step_in_per_cent_scales_the_value_of_every_metric_asked_for() -> None:
    values = planted("host:*:-10%@0", np.full((2, 2, 2), 50.0))
    assert values == pytest.approx(np.full((2, 2, 2), 45.0))


def test_a_slope_reaches_its_size_after_a_thousand_ticks() -> None:
    values = planted("a:power:slope+4sd@100", np.zeros((1200, 2, 2)))
    assert values[1099, 0, 0] == pytest.approx(8.0)
    assert values[599, 0, 0] == pytest.approx(4.0)
    assert (values[:100] == 0).all()


def test_a_flat_line_repeats_its_first_value_and_ends() -> None:
    values = planted("a:power:flatline@2-4", np.arange(6.0)[:, None, None] * np.ones((6, 2, 2)))
    assert values[:, 0, 0].tolist() == [0.0, 1.0, 2.0, 2.0, 4.0, 5.0]


def test_missing_takes_readings_away_only_in_its_time() -> None:
    values = planted("host:power:missing@12-13", np.ones((4, 2, 2)), start=10)
    assert np.isnan(values[..., 0]).sum(axis=1).tolist() == [0, 0, 2, 0]
    assert not np.isnan(values[..., 1]).any()


def test_spread_widens_the_noise_only_in_its_time() -> None:
    noise = np.ones((4, 2, 2))
    Planted([parse_fault("b:power:spread*3@1-2")], ROWS, METRICS).scale_noise(noise, 0)
    assert noise[:, 1, 0].tolist() == [1.0, 3.0, 1.0, 1.0]
    assert noise.sum() == 18.0


def test_a_wave_goes_up_and_down_from_its_onset_and_leaves_the_mean_where_it_is() -> None:
    values = planted("a:power:wave+3sd/4@2-10", np.zeros((12, 2, 2)))
    expected = [0, 0, 0, 6, 0, -6, 0, 6, 0, -6, 0, 0]
    np.testing.assert_allclose(values[:, 0, 0], expected, atol=1e-12)
    assert (values[:, 1] == 0).all()


def test_spikes_are_single_ticks_up_and_down_in_turn() -> None:
    values = planted("a:heat:spikes+50%/3@1", np.full((10, 2, 2), 8.0))
    assert values[:, 0, 1].tolist() == [8, 12, 8, 8, 4, 8, 8, 12, 8, 8]


@pytest.mark.parametrize("what", ["wave+1sd/6", "spikes+8sd/20", "slope+4sd"])
def test_the_course_of_a_fault_does_not_hang_on_how_ticks_are_drawn(what: str) -> None:
    whole = planted(f"a:power:{what}@7", np.zeros((90, 2, 2)))
    parts = [planted(f"a:power:{what}@7", np.zeros((30, 2, 2)), start) for start in (0, 30, 60)]
    np.testing.assert_allclose(np.concatenate(parts), whole)


@pytest.mark.parametrize("what", ["wave+1sd/1", "spikes+1sd/0"])
def test_a_period_that_is_none_is_refused(what: str) -> None:
    with pytest.raises(BadFault, match=r"its period is . ticks; write /2 or more ticks"):
        parse_fault(f"a:power:{what}@5")


@pytest.mark.parametrize("what", ["-100%", "-250%", "slope-100%"])
def test_a_fault_that_takes_all_there_is_is_refused(what: str) -> None:
    with pytest.raises(BadFault, match="it takes all there is; write more than -100%"):
        parse_fault(f"g:m:{what}@5")


def test_a_slope_is_refused_where_it_would_leave_no_value() -> None:
    fault = parse_fault("g:m:slope-50%@100")
    fault.refuse_beyond(2000)
    with pytest.raises(BadFault, match="its slope takes all there is before tick 2100"):
        fault.refuse_beyond(2100)
    parse_fault("g:m:slope-50%@100-1000").refuse_beyond(9000)
