import socket as net
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tessera.adapters.background import Unreachable
from tessera.adapters.jobs import Held, jobs_of
from tessera.adapters.kubernetes import pod_resources
from tessera.adapters.kubernetes import pod_resources_pb2 as messages
from tessera.adapters.kubernetes.fake_kubelet import FakeKubelet, serving
from tessera.adapters.kubernetes.pod_resources import Kubelet, held_of

SETTINGS = bytes(3) + b"\x04" + bytes(5)  # the empty frame with which an HTTP/2 server begins


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "kubelet.sock"


@pytest.fixture
def kubelet(socket: Path) -> Iterator[FakeKubelet]:
    made = FakeKubelet()
    with serving(made, socket):
        yield made


def asked(path: Path) -> bytes:
    """Return what a kubelet on a bare socket hears of a client up to the name of the method."""
    heard = b""
    with socketserver(path) as listening, ThreadPoolExecutor() as pool:
        asking = pool.submit(Kubelet(path, patience=30.0))
        link, _ = listening.accept()
        with link:
            link.sendall(SETTINGS)
            while b"/v1.PodResourcesLister/List" not in heard:
                heard += link.recv(4096)
        with pytest.raises(Unreachable):
            asking.result(60)
    return heard


@contextmanager
def socketserver(path: Path) -> Iterator[net.socket]:
    with net.socket(net.AF_UNIX, net.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        yield listening


def test_trap_9_the_kubelet_is_asked_under_the_name_localhost_and_not_under_its_path(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asked(socket)
    assert b"localhost" in heard
    assert b"kubelet.sock" not in heard
    socket.unlink()
    monkeypatch.setattr(pod_resources, "_OPTIONS", ())
    assert b"kubelet.sock" in asked(socket)


def test_a_pod_that_holds_a_gpu_gives_it_its_job(kubelet: FakeKubelet, socket: Path) -> None:
    kubelet.pods = {
        ("team", "train-worker-0"): {"nvidia.com/gpu": ["GPU-a", "GPU-b"]},
        ("team", "train-worker-1"): {"nvidia.com/mig-1g.10gb": ["MIG-c"]},
    }
    assert Kubelet(socket)() == (
        Held("team/train-worker", "GPU-a"),
        Held("team/train-worker", "GPU-b"),
        Held("team/train-worker", "MIG-c"),
    )


def test_the_counter_of_a_shared_gpu_is_cut_off(kubelet: FakeKubelet, socket: Path) -> None:
    kubelet.pods = {
        ("team", "one-0"): {"nvidia.com/gpu.shared": ["GPU-a::0"]},
        ("team", "two-0"): {"nvidia.com/gpu.shared": ["GPU-a::12"]},
        ("team", "three-0"): {"nvidia.com/gpu.shared": ["GPU-b::1"]},
    }
    assert jobs_of(Kubelet(socket)(), ("GPU-a", "GPU-b")) == {"GPU-a": "", "GPU-b": "team/three"}


@pytest.mark.parametrize("resource", ["aws.amazon.com/neuron", "google.com/tpu"])
def test_devices_that_are_counted_are_found_by_their_number(
    kubelet: FakeKubelet, socket: Path, resource: str
) -> None:
    kubelet.pods = {("team", "train-0"): {resource: ["1"]}}
    assert jobs_of(Kubelet(socket)(), ("n0", "n1")) == {"n1": "team/train"}


def test_cores_are_found_by_how_many_the_host_has(kubelet: FakeKubelet, socket: Path) -> None:
    kubelet.pods = {("team", "train-0"): {"aws.amazon.com/neuroncore": ["4", "5"]}}
    kubelet.allocatable = {"aws.amazon.com/neuroncore": [str(core) for core in range(7)], "cpu": []}
    assert jobs_of(Kubelet(socket)(), ("n0", "n1")) == {"n1": "team/train"}


def test_other_resources_are_passed_over(kubelet: FakeKubelet, socket: Path) -> None:
    kubelet.pods = {
        ("team", "train-0"): {"rdma/hca": ["0"], "vendor.com/gpu": ["GPU-a"]},
        ("", ""): {},
    }
    assert Kubelet(socket)() == ()


def test_a_host_without_a_kubelet_is_told_in_one_line(socket: Path) -> None:
    with pytest.raises(Unreachable, match="no kubelet's socket") as told:
        Kubelet(socket)()
    assert told.value.code == "absent"
    assert "\n" not in str(told.value)


def test_a_kubelet_that_fails_is_told_in_one_line(kubelet: FakeKubelet, socket: Path) -> None:
    kubelet.fails = True
    with pytest.raises(Unreachable, match="does not answer") as told:
        Kubelet(socket)()
    assert told.value.code == "internal"


def test_a_socket_that_nobody_serves_is_told_in_one_line(socket: Path) -> None:
    socket.write_text("")
    with pytest.raises(Unreachable) as told:
        Kubelet(socket, patience=5.0)()
    assert told.value.code == "unavailable"


def test_a_pod_without_a_name_holds_nothing() -> None:
    devices = messages.ContainerDevices(resource_name="nvidia.com/gpu", device_ids=["GPU-a"])
    container = messages.ContainerResources(name="c", devices=[devices])
    listed = messages.ListPodResourcesResponse(
        pod_resources=[messages.PodResources(containers=[container])]
    )
    assert list(held_of(listed)) == []
