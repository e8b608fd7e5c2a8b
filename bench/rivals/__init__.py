"""Other detectors, ours beside them, on the same streams: what `make compare` runs.

Apart from the product and its cells, because river and matplotlib are needed here alone.
"""
