"""Curate a window of the past before anything learns from it: what in it is not ordinary.

Apart, because it looks at raw values and at the whole window at once, which nothing that bets may.
It marks ticks and deletes none: marked ones may stay out of fits, never out of the counts of ranks,
because a reference with its tail cut off makes every honest tail value look extreme.
"""
