"""Whether errors come one by one: the dispersion of counts about their members' usual shares.

Apart from the counts that are bet on: their null is binomial given the totals, and this asks the
healthy members of a group whether it deserves the name.
Null: members that err at unlike rates, one by one, give 1.  Power: errors in pairs give 2.
"""

from math import sqrt

import numpy as np

from .arrays import Floats

UNSURE = 3.0  # standard errors by which a dispersion is to be above a bound


def dispersion(x: Floats) -> tuple[float, float]:
    """Return the dispersion of errors ``x`` (blocks, members) and its standard error.

    Pearson's statistic of the table about each member's own share, over what it is on average
    given both margins: 1 for errors dealt out one by one, c where each comes c times. (NaN, NaN)
    where fewer than two blocks have two errors or fewer than two members have any.
    Source: Haldane, Biometrika 31:346 (1940), for the mean given the margins.
    """
    table = x[x.sum(axis=1) >= 2.0]  # noqa: PLR2004 - one error alone is always dealt out evenly
    table = table[:, table.sum(axis=0) > 0.0]
    blocks, members = table.shape
    if blocks < 2 or members < 2:  # noqa: PLR2004 - two blocks and two members
        return float("nan"), float("nan")
    of_block, of_member, total = table.sum(axis=1), table.sum(axis=0), float(table.sum())
    expected = of_block[:, None] * of_member / total
    statistic = float((np.square(table - expected) / expected).sum())
    freedom = (blocks - 1) * (members - 1)
    return statistic * (total - 1.0) / (total * freedom), sqrt(2.0 / freedom)


def surely_above(x: Floats, bound: float) -> bool:
    """Say whether the dispersion of ``x`` is above ``bound`` by more than three standard errors."""
    value, error = dispersion(x)
    return value > bound * (1.0 + UNSURE * error)
