"""Borders to the outside: vendor counters, topologies, recordings and the metric catalogue."""
