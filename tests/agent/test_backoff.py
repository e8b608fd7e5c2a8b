from random import Random

from tessera.agent.backoff import LASTED, Backoff


def backoff(seed: int = 1) -> Backoff:
    return Backoff(Random(seed))  # noqa: S311  chance, not secrets


def test_waits_lie_below_a_bound_that_doubles_up_to_thirty_seconds() -> None:
    largest = [0.0] * 9
    for seed in range(200):
        waits = backoff(seed)
        largest = [max(most, waits.after(0.0)) for most in largest]
    bounds = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert all(0.9 * b < most <= b for most, b in zip(largest, bounds, strict=True))


def test_waits_are_spread_down_to_nothing() -> None:
    waits = [backoff(seed).after(0.0) for seed in range(400)]
    assert min(waits) < 0.01
    assert 0.2 < sum(waits) / len(waits) < 0.3


def test_a_link_that_lasted_makes_the_next_attempt_a_first_one() -> None:
    waits = backoff()
    for _ in range(10):
        waits.after(LASTED / 2)
    assert max(waits.after(LASTED) for _ in range(50)) <= 0.5


def test_a_refusal_is_tried_again_slowly() -> None:
    assert all(15.0 <= backoff(seed).refused() <= 30.0 for seed in range(50))


def test_the_same_chance_gives_the_same_waits_and_another_does_not() -> None:
    first, again, other = ([b.after(0.0) for _ in range(5)] for b in map(backoff, (1, 1, 2)))
    assert first == again
    assert first != other


def test_a_thousand_attempts_are_no_trouble() -> None:
    waits = backoff()
    assert all(waits.after(0.0) <= 30.0 for _ in range(3000))
