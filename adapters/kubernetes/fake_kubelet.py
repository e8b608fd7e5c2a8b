"""A kubelet on a socket of one's own, that says which pods hold which devices.

Apart and shipped, because tests and demonstrations need one on machines without Kubernetes.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import grpc

from . import pod_resources_pb2 as messages
from .pod_resources_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)

Devices: TypeAlias = Mapping[str, Sequence[str]]  # ids by resource


class FakeKubelet(PodResourcesListerServicer):
    """Serve ``pods`` (devices by namespace and name) on a host that could give ``allocatable``.

    Both may be changed while it is asked; while it ``fails`` it answers with an error.
    """

    def __init__(
        self,
        pods: Mapping[tuple[str, str], Devices] | None = None,
        allocatable: Devices | None = None,
    ) -> None:
        """Take what it says."""
        self.pods: Mapping[tuple[str, str], Devices] = pods or {}
        self.allocatable = allocatable or {}
        self.fails = False

    def List(  # noqa: N802  # pyright: ignore[reportIncompatibleMethodOverride]  # grpc's name; modules of two names
        self, request: messages.ListPodResourcesRequest, context: grpc.ServicerContext
    ) -> messages.ListPodResourcesResponse:
        """Return what the pods hold."""
        del request
        self._fail_if_asked(context)
        return messages.ListPodResourcesResponse(
            pod_resources=[
                messages.PodResources(
                    name=name,
                    namespace=namespace,
                    containers=[messages.ContainerResources(name="main", devices=_held(devices))],
                )
                for (namespace, name), devices in self.pods.items()
            ]
        )

    def GetAllocatableResources(  # noqa: N802  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
        self, request: messages.AllocatableResourcesRequest, context: grpc.ServicerContext
    ) -> messages.AllocatableResourcesResponse:
        """Return what pods could hold."""
        del request
        self._fail_if_asked(context)
        return messages.AllocatableResourcesResponse(devices=_held(self.allocatable))

    def _fail_if_asked(self, context: grpc.ServicerContext) -> None:
        if self.fails:
            context.abort(grpc.StatusCode.INTERNAL, "asked to fail")


@contextmanager
def serving(kubelet: FakeKubelet, socket: Path) -> Iterator[None]:
    """Serve ``kubelet`` at ``socket`` inside a ``with``."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    add_PodResourcesListerServicer_to_server(kubelet, server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def _held(devices: Devices) -> list[messages.ContainerDevices]:
    return [
        messages.ContainerDevices(resource_name=resource, device_ids=ids)
        for resource, ids in devices.items()
    ]
