"""From many streams to one value per node: peer summaries, contrasts of levels, merging."""
