"""Fleets in which some evidence may be believed and some may not: what a printed list is worth.

1,024 nodes with two parts each. Nine in ten have sound parts only; the second part of the others
is of no class and wildly wrong. Healthy sound e-values are the worst that have mean 1: 0, or now
and then just as large as a list of ``aim`` nodes asks for. statistics.md G4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.evalue import EValues, Validity
from tessera.engine.merging import two_values
from tessera.engine.selection import ControlledList, controlled, e_bh, sup_fdr_adjust

NODES, Q, RUNS = 1024, 0.1, 200
WILD = 0.1  # share of the nodes with a part that is of no class and wrong
STRONG = 16.0  # nats of a fault
WEIGHTS = np.full((2, NODES), 0.5)


@dataclass(frozen=True)
class Draw:
    """One fleet: its merged values, and who is really ill."""

    controlled: EValues
    ranked: EValues
    all_alike: EValues  # as if every part were to be believed
    ill: Bools


def drawn(random: np.random.Generator, share: float, aim: float) -> Draw:
    """Return a fleet of which ``share`` is ill, some of its parts wild."""
    ill = random.random(NODES) < share
    bar = np.log(2.0 * NODES / (Q * aim))  # a part alone has half of the weight
    large = bar + random.uniform(0.0, 0.3, (2, NODES))  # ln c: e = c with probability 1/c, else 0
    log_m = np.where(random.random((2, NODES)) < np.exp(-large), large, -np.inf)
    log_m[:, ill] = random.normal(STRONG, 2.0, (2, int(ill.sum())))
    wild = random.random(NODES) < WILD
    log_m[1, wild] = random.normal(40.0, 5.0, int(wild.sum()))
    validity = np.full((2, NODES), Validity.CONSTRUCTION, dtype=np.int8)
    validity[1, wild] = random.choice([Validity.NONE, Validity.EMPIRICAL], int(wild.sum()))
    sound, shown = two_values(log_m, validity, WEIGHTS)
    believed = np.full_like(validity, Validity.CONSTRUCTION)
    return Draw(sound, shown, two_values(log_m, believed, WEIGHTS)[0], ill)


def by_the_check(draw: Draw) -> Ints:
    """Return the list that is printed: nothing that is not sound counts."""
    return controlled(draw.controlled, Q).members


def of_a_list_over_time(draw: Draw) -> Ints:
    adjusted = EValues(sup_fdr_adjust(draw.controlled.log_e), draw.controlled.validity)
    return controlled(adjusted, Q).members


def after_silencing(draw: Draw) -> Ints:
    """Return the list of which somebody has taken away the best he knew of: most of the ill."""
    keep = ~draw.ill | (np.arange(NODES) % 4 == 0)
    return controlled(draw.controlled, Q, keep).members


def by_hiding(draw: Draw) -> Ints:
    """Select among all, then hide whoever has a part that is not sound: what must not be done."""
    sound = draw.ranked.validity >= Validity.CONSTRUCTION
    chosen = e_bh(draw.all_alike, Q)
    kept: Ints = chosen[sound[chosen]]
    return kept


def by_silencing_alone(draw: Draw) -> Ints:
    """Take away from an e-BH list without looking at the bar again: what must not be done."""
    chosen = e_bh(draw.controlled, Q)
    kept: Ints = chosen[~draw.ill[chosen] | (chosen % 4 == 0)]
    return kept


def false_and_found(
    printed: Callable[[Draw], Ints], share: float, seed: int, *, hidden: float = 0.0
) -> tuple[float, float]:
    """Return the mean false discovery proportion, and the share of the ill that are listed.

    Healthy e-values aim at a list of the ill and of the ``hidden`` share beside them.
    """
    aim = NODES * (share + 0.9 * hidden)
    random = np.random.default_rng(seed)
    false, found = [], []
    for _ in range(RUNS):
        draw = drawn(random, share, aim)
        members = printed(draw)
        false.append(float((~draw.ill[members]).mean()) if len(members) else 0.0)
        found.append(float(np.isin(np.flatnonzero(draw.ill), members).mean()))
    return float(np.mean(false)), float(np.nanmean(found))


@pytest.mark.parametrize("hidden", [0.0, WILD])
@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("printed", [by_the_check, of_a_list_over_time, after_silencing])
def test_null_no_more_than_q_of_what_is_printed_is_false(
    printed: Callable[[Draw], Ints], share: float, hidden: float
) -> None:
    assert false_and_found(printed, share, seed=11, hidden=hidden)[0] <= Q


@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("printed", [by_the_check, of_a_list_over_time])
def test_power_the_ill_are_on_the_list(printed: Callable[[Draw], Ints], share: float) -> None:
    assert false_and_found(printed, share, seed=12)[1] >= 0.9


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_power_hiding_what_is_not_sound_after_the_selection_breaks_the_promise(
    share: float,
) -> None:
    assert false_and_found(by_hiding, share, seed=13, hidden=WILD)[0] > 1.5 * Q


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_power_silencing_without_the_check_breaks_the_promise(share: float) -> None:
    assert false_and_found(by_silencing_alone, share, seed=14)[0] > 1.5 * Q


def test_a_class_lost_inside_an_epoch_counts_nothing_any_more_and_the_family_stays() -> None:
    log_m: Floats = np.full((2, NODES), -np.inf)
    log_m[:, :10] = STRONG
    validity = np.full((2, NODES), Validity.CONSTRUCTION, dtype=np.int8)
    before = controlled(two_values(log_m, validity, WEIGHTS)[0], Q)
    validity[:, :4] = Validity.EMPIRICAL
    sound, shown = two_values(log_m, validity, WEIGHTS)
    after = controlled(sound, Q)
    assert (before.members.tolist(), before.n) == (list(range(10)), NODES)
    assert (after.members.tolist(), after.n) == (list(range(4, 10)), NODES)
    assert shown.log_e[0] == pytest.approx(STRONG)  # it goes on as ranked
    with pytest.raises(ValueError, match="too weak"):
        ControlledList(
            before.members, sound.log_e[before.members] - 12.0 * (np.arange(10) > 3), NODES, Q
        )
