import numpy as np
import pytest

from tessera.agent.ring import MOST_BYTES, TICKS, Ring

SHARDS = ("gpu-0", "gpu-1")


def filled(ticks: int, metrics: int = 3) -> Ring:
    ring = Ring(SHARDS, tuple(f"m{j}" for j in range(metrics)))
    for at in range(ticks):
        ring.push(float(at), np.full((2, metrics), [[at], [-at]], dtype=np.float64))
    return ring


def test_ticks_of_a_shard_come_back_oldest_first() -> None:
    found = filled(4).ticks("gpu-1")
    assert found.shard == "gpu-1"
    assert found.metrics == ("m0", "m1", "m2")
    assert found.at.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.values[:, 0].tolist() == [0.0, -1.0, -2.0, -3.0]


@pytest.mark.parametrize("ticks", [TICKS, TICKS + 1, 3 * TICKS - 1])
def test_ten_minutes_are_kept_and_no_more(ticks: int) -> None:
    found = filled(ticks).ticks("gpu-0")
    assert found.at.tolist() == list(range(ticks - TICKS, ticks))
    assert found.values[:, 2].tolist() == found.at.tolist()


def test_only_what_is_young_enough_is_told() -> None:
    assert filled(10).ticks("gpu-0", since=7.0).at.tolist() == [7.0, 8.0, 9.0]
    assert filled(10).ticks("gpu-0", since=99.0).at.tolist() == []
    assert filled(0).ticks("gpu-0").at.tolist() == []


def test_an_answer_is_never_larger_than_it_may_be_and_keeps_the_newest() -> None:
    found = filled(TICKS, metrics=512).ticks("gpu-0")
    size = found.at.nbytes + found.values.nbytes
    assert MOST_BYTES - 4000 < size <= MOST_BYTES
    assert found.at[-1] == TICKS - 1


def test_what_is_not_a_finite_number_is_none() -> None:
    ring = Ring(("gpu-0",), ("m0", "m1", "m2"))
    ring.push(0.0, np.array([[np.nan, 1e300, -np.inf]]))
    assert np.isnan(ring.ticks("gpu-0").values).all()


def test_another_hosts_shard_is_not_here() -> None:
    with pytest.raises(KeyError):
        filled(1).ticks("gpu-9")


def test_ticks_of_what_stays_are_there_under_other_rows_and_columns() -> None:
    ring = filled(TICKS + 5).carried(("gpu-9", "gpu-1"), ("m2", "new", "m0"))
    ring.push(float(TICKS + 5), np.ones((2, 3)))
    found = ring.ticks("gpu-1")
    assert found.metrics == ("m2", "new", "m0")
    assert found.at.tolist() == list(range(6, TICKS + 6))
    assert found.values[:-1, 0].tolist() == [-at for at in range(6, TICKS + 5)]
    assert np.isnan(found.values[:-1, 1]).all()
    assert found.values[-1].tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(ring.ticks("gpu-9").values[:-1]).all()
