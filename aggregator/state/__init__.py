"""What the aggregator remembers between blocks: fleet, peer groups, levels and evidence."""
