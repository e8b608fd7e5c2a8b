"""All ranks of one job come out under one name."""

import pytest

from tessera.adapters.pod import job_of


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("trainer-0", "trainer"),
        ("trainer-17", "trainer"),
        ("llama-worker-3", "llama-worker"),
        ("llama-worker-3-x7k2p", "llama-worker"),
        ("serve-5d48b9c7f4-95xcf", "serve"),
        ("agent-zq8wt", "agent"),
        ("notebook", "notebook"),
        ("my-trainer", "my-trainer"),
        ("0", "0"),
    ],
)
def test_a_pod_is_known_by_what_it_shares_with_its_siblings(pod: str, owner: str) -> None:
    assert job_of({"pod": pod, "namespace": "ml"}) == f"ml/{owner}"


def test_both_spellings_of_a_pod_are_read() -> None:
    old = {"pod_name": "trainer-0", "pod_namespace": "ml", "container_name": "main"}
    new = {"pod": "trainer-0", "namespace": "ml", "container": "main"}
    assert job_of(old) == job_of(new) == "ml/trainer"


def test_the_job_of_a_batch_system_comes_first_and_stands_as_it_is() -> None:
    assert job_of({"hpc_job": "4711-0", "pod": "slurmd-0", "namespace": "hpc"}) == "4711-0"


def test_an_accelerator_that_nobody_holds_has_no_job() -> None:
    assert job_of({}) == job_of({"pod": "", "namespace": "ml"}) == ""
