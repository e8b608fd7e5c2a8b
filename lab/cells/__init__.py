"""Seeded cells on which the engine's guarantees and its speed are measured."""
