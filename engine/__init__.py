"""The statistics of evidence: numpy only, no clock, no input or output, no randomness of its own."""
