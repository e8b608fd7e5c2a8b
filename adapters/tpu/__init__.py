"""Google TPUs: what the runtime of a workload, the node's plugin and the kernel say of chips."""
