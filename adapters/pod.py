"""Name the job of an accelerator from the labels that an exporter gives it.

Apart, because exporters of several vendors know pods by several spellings, and peers are found by
what is said here: all ranks of one job must come out under one name.
"""

import re
from collections.abc import Mapping
from typing import Final

_POD: Final = ("pod", "pod_name")
_NAMESPACE: Final = ("namespace", "pod_namespace")
_BATCH: Final = "hpc_job"

# Kubernetes ends the names of a controller's pods with an ordinal, with five letters that hold no
# vowel, or with both; a Deployment's carry its template's hash before them.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_OWNED = re.compile(rf"(.+?)(?:-{_RANDOM}{{6,10}})?(?:-\d+)?-{_RANDOM}{{5}}|(.+?)-\d+", re.ASCII)


def job_of(labels: Mapping[str, str]) -> str:
    """Return the job that holds the accelerator of ``labels``; "" where none does.

    A batch system's job is taken as it stands; a pod is told by its namespace and what its name
    shares with the other pods of its controller.
    """
    if batch := labels.get(_BATCH, ""):
        return batch
    pod = _first(labels, _POD)
    if not pod:
        return ""
    match = _OWNED.fullmatch(pod)
    owner = pod if match is None else match[1] or match[2]
    return "/".join(part for part in (_first(labels, _NAMESPACE), owner) if part)


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
