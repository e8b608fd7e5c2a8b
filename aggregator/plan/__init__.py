"""The only source of parameters: φ, κ, rungs, margins and epochs, each fixed at epoch start."""
