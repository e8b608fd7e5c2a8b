"""Who is compared: ours, the classical charts, the betting e-process; all in numpy.

Apart from river's detectors, so that the tests know the field without that library.
"""

from math import log

from .betting import Betting
from .charts import Cusum, Ewma, Given, Sigma, Similarity
from .rival import Rival
from .streams import CONTRAST, OURS, OURS_ALONE, OURS_BELIEVED, OURS_EAGER, SCORES

PROMISE = log(100.0)  # Ville: at most 1 % of fair wealths ever reach it
PROMISED, TUNED = "M ≥ 100, promised", "tuned"


def ours() -> list[Rival]:
    """Return our evidence: as shipped, while believed, without deadband, without peers."""
    names = (OURS, OURS_BELIEVED, OURS_EAGER, OURS_ALONE)
    return [Rival(name, name, (Given(),), PROMISED, PROMISE) for name in names]


def on_our_scores() -> list[Rival]:
    """Return the charts that are fed the scores of our bets as they are, κ_i included."""
    return [
        Rival("CUSUM on our scores", SCORES, (Cusum(own_unit=False),), TUNED),
        Rival("EWMA on our scores", SCORES, (Ewma(own_unit=False),), TUNED),
    ]


def classical() -> list[Rival]:
    """Return the charts and the betting e-process on the plain peer contrast."""
    return [
        Rival("CUSUM", CONTRAST, (Cusum(),), TUNED),
        Rival("EWMA", CONTRAST, (Ewma(),), TUNED),
        Rival("3 σ", CONTRAST, (Sigma(),), "untuned", 3.0),
        Rival("σ limit", CONTRAST, (Sigma(),), TUNED),
        Rival("similarity, 4 windows of 8", CONTRAST, (Similarity(),), TUNED),
        Rival("betting, raw", CONTRAST, (Betting(whitened=False),), PROMISED, PROMISE),
        Rival("betting, whitened", CONTRAST, (Betting(whitened=True),), PROMISED, PROMISE),
    ]
