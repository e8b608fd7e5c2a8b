"""From evidence to verdicts: families, selection, attribution, explanation."""
