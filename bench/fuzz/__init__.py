"""Every parser of what comes from outside, and what throws bytes at them."""
