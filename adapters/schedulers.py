"""The schedulers that settings can name as the ones who know which job holds which device.

Apart from the sources of counters, because none of them knows a counter.
"""

from typing import Final

from .jobs import JobSource
from .kubernetes.pod_resources import Kubelet
from .registry import Registry
from .slurm.squeue import Squeue


def open_jobs(name: str, node: str) -> JobSource:
    """Return the scheduler called ``name``; raise ``UnknownName``.

    ``kubernetes`` is this host's kubelet. ``slurm`` is its controller, for sites where it counts
    accelerators (GRES), ``slurm-nodes`` for those where a job has all of its nodes' accelerators;
    ``node`` is this host's name in it. Nothing is asked yet.
    """
    return _SCHEDULERS.factory(name)(node)


def _kubernetes(node: str) -> JobSource:
    del node  # its kubelet knows no other
    return JobSource("kubernetes", Kubelet())


def _slurm(node: str) -> JobSource:
    return JobSource("slurm", Squeue(node))


def _slurm_nodes(node: str) -> JobSource:
    return JobSource("slurm-nodes", Squeue(node, whole=True))


_SCHEDULERS: Final[Registry[JobSource]] = Registry("scheduler")
_SCHEDULERS.add("kubernetes", _kubernetes)
_SCHEDULERS.add("slurm", _slurm)
_SCHEDULERS.add("slurm-nodes", _slurm_nodes)
