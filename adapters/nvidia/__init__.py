"""NVIDIA accelerators through NVML, the management library that comes with their driver."""
