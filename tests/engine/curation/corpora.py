"""Corpora for the tests of curation: runs of Gaussian or Student noise, with a memory.

Apart, because all three stages are tested on the same ones.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def corpus(  # noqa: PLR0913 - one parameter for each thing that corpora differ in
    seed: int,
    *,
    runs: int = 8,
    ticks: int = 200,
    signals: int = 3,
    phi: float = 0.0,
    tails: float | None = None,
) -> list[Floats]:
    """Return ``runs`` of (ticks, signals): AR(``phi``), normal or Student of ``tails`` degrees."""
    rng = np.random.default_rng(seed)
    shape = (runs, ticks, signals)
    noise = rng.standard_normal(shape) if tails is None else rng.standard_t(tails, shape)
    for t in range(1, ticks):
        noise[:, t] = phi * noise[:, t - 1] + np.sqrt(1.0 - phi**2) * noise[:, t]
    return list(noise * rng.uniform(0.1, 10.0, signals) + rng.normal(0.0, 100.0, signals))


def shifted(runs: list[Floats], sd: float, first: int, last: int, of: int) -> list[Floats]:
    """Return ``runs`` with the first ``of`` of them moved by ``sd`` in ticks first … last."""
    moved = [rows.copy() for rows in runs]
    for rows in moved[:of]:
        rows[first : last + 1] += sd * rows.std(axis=0)
    return moved
