"""Kubernetes on this host: which pod holds which device, without its API server."""
