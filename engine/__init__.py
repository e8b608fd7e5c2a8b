"""The statistics of evidence: numpy only, no clock, no files, no randomness of its own."""
