"""Whether a block that was kept for long makes sense, before it becomes history.

Apart from decoding, because nobody computes with it: it is looked at and stored as it came.
"""

import numpy as np

from .columns import Laid
from .pack import BadMessage, unpack
from .schema import ingest


def check_past(message: ingest.PastBlock, shape: tuple[int, int]) -> None:
    """Raise ``BadMessage`` unless ``message`` has values of ``shape``'s rows and known columns."""
    rows, every = shape
    sent = message.columns if message.HasField("columns") else None
    Laid(sent, every, ("PastBlock", "columns"))
    count = every if sent is None else sent.shape[0]
    x = unpack(message.x, np.float32, (rows, count), ("PastBlock", "x"))
    if np.isinf(x).any():
        raise BadMessage(("PastBlock", "x"), "is infinite")
