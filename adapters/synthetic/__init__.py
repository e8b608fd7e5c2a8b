"""A seeded fleet that misbehaves on request: the shipped stand-in for real hardware."""
