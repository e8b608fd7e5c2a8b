"""Ask the kubelet of this host which pod holds which accelerator, over its local socket.

Apart from the API server's topology: this needs no credentials and no network, only the socket's
folder mounted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol, cast

import grpc

from ..background import Unreachable
from ..jobs import Held, Unit
from ..pod import job_of
from . import pod_resources_pb2 as messages
from .pod_resources_pb2_grpc import PodResourcesListerStub

SOCKET: Final = Path("/var/lib/kubelet/pod-resources/kubelet.sock")

_ABSENT = "absent"
_PATIENCE = 5.0  # seconds for an answer
_LARGEST = 16 * 2**20  # bytes of one; a host with 500 pods gives some hundred kB
# A Go server may refuse the name that is made of the socket's path, so another is said.
_OPTIONS = (
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.use_local_subchannel_pool", 1),
)

_CORES = "aws.amazon.com/neuroncore"
_UNITS: Mapping[str, Unit] = {
    "nvidia.com/gpu": "device",
    "nvidia.com/gpu.shared": "device",
    "aws.amazon.com/neuron": "device",
    "aws.amazon.com/neurondevice": "device",
    _CORES: "core",
    "google.com/tpu": "device",
}
_SLICES = "nvidia.com/mig-"


class _Stub(Protocol):
    """The generated stub, under one name: checkers know the generated modules by two."""

    def List(  # noqa: N802 - grpc's name
        self, request: messages.ListPodResourcesRequest, *, timeout: float
    ) -> messages.ListPodResourcesResponse: ...

    def GetAllocatableResources(  # noqa: N802 - grpc's name
        self, request: messages.AllocatableResourcesRequest, *, timeout: float
    ) -> messages.AllocatableResourcesResponse: ...


class Kubelet:
    """The kubelet behind one socket; nothing is opened before it is asked."""

    def __init__(self, socket: Path = SOCKET, patience: float = _PATIENCE) -> None:
        """Take the socket's path and the seconds for an answer."""
        self._socket = socket
        self._patience = patience

    def __call__(self) -> tuple[Held, ...]:
        """Return what pods hold now; raise ``Unreachable`` where nobody answers."""
        if not self._socket.exists():
            raise Unreachable(_ABSENT, f"there is no kubelet's socket at {self._socket}")
        try:
            with grpc.insecure_channel(f"unix:{self._socket}", options=_OPTIONS) as channel:
                stub = cast("_Stub", PodResourcesListerStub(channel))
                listed = stub.List(messages.ListPodResourcesRequest(), timeout=self._patience)
                cores = self._cores(stub) if _holds_cores(listed) else 0
        except grpc.RpcError as failed:
            code = failed.code().name.lower() if isinstance(failed, grpc.Call) else "failed"
            raise Unreachable(code, f"the kubelet does not answer ({code})") from None
        return tuple(held_of(listed, cores))

    def _cores(self, stub: _Stub) -> int:
        """Return how many cores the host has by the highest that may be given away."""
        request = messages.AllocatableResourcesRequest()
        all_of = stub.GetAllocatableResources(request, timeout=self._patience)
        ids = (n for d in all_of.devices if d.resource_name == _CORES for n in d.device_ids)
        return 1 + max((int(n) for n in ids if n.isdecimal() and len(n) < len("99999")), default=-1)


def held_of(listed: messages.ListPodResourcesResponse, cores: int = 0) -> Iterator[Held]:
    """Yield each accelerator that a container holds; ``cores`` are those of the host, 0 = unknown.

    Under time-slicing several containers hold one device, each under an id of its own, and its
    counter is cut off here.
    """
    for pod in listed.pod_resources:
        job = job_of({"pod": pod.name, "namespace": pod.namespace})
        for devices in _devices(pod):
            unit = _unit(devices.resource_name)
            for device in devices.device_ids if unit and job else ():
                plain = re.sub(r"::\d+$", "", device)
                yield Held(job, plain, unit or "device", cores if unit == "core" else 0)


def _devices(pod: messages.PodResources) -> Iterable[messages.ContainerDevices]:
    return (devices for container in pod.containers for devices in container.devices)


def _unit(resource: str) -> Unit | None:
    return "device" if resource.startswith(_SLICES) else _UNITS.get(resource)


def _holds_cores(listed: messages.ListPodResourcesResponse) -> bool:
    return any(d.resource_name == _CORES for pod in listed.pod_resources for d in _devices(pod))
