"""Property tests draw the same examples on every machine and in every run."""

from hypothesis import settings

# No deadline: tests say nothing about time. Fifty examples keep the whole suite quick.
settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("house")
