"""What the Linux kernel itself says about a host."""
