import numpy as np
import pytest
from soak import EVERY, MB, report, slope

from tessera.agent.usage import Usage


def seen(growth: float, hours: float = 0.5) -> list[tuple[float, Usage]]:
    """Return looks at a process of 60 MB that grows by ``growth`` MB an hour, with noise."""
    times = np.arange(0.0, hours * 3600, EVERY)
    noise = np.random.default_rng(1).normal(0.0, 0.05, times.size)
    warming = 10.0 * (1 - np.exp(-times / 60.0))
    sizes = 50.0 + warming + growth * times / 3600 + noise
    return [
        (float(at), Usage(float(size) * MB, float(at) / 200, 20.0))
        for at, size in zip(times, sizes, strict=True)
    ]


@pytest.mark.parametrize(("growth", "still"), [(0.0, True), (0.5, True), (4.0, False)])
def test_memory_that_grows_is_told_from_memory_that_warmed_up(growth: float, still: bool) -> None:  # noqa: FBT001  a table's column
    assert report(seen(growth)) is still


def test_what_is_printed_is_what_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    report(seen(4.0))
    told = capsys.readouterr().out
    assert "processor      0.50 % of one core" in told
    assert "resident       62.0 MB" in told
    assert "slope          +4.0" in told


def test_a_line_is_found_with_its_error() -> None:
    rng = np.random.default_rng(2)
    t = np.linspace(0.0, 1.0, 400)
    found = [slope(list(t), list(3.0 * t + rng.normal(0.0, 1.0, 400))) for _ in range(200)]
    rises, errors = np.array([f.rise for f in found]), np.array([f.error for f in found])
    assert abs(rises.mean() - 3.0) < 0.1
    assert rises.std() < errors.mean() < 5 * rises.std()  # the error is generous, not absurd
