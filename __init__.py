"""Tessera names the accelerator that went quietly wrong, and says how sure it is."""

__version__ = "0.1.0"
