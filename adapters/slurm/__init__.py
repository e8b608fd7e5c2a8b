"""Slurm: what it says of this node and of the jobs on it."""
