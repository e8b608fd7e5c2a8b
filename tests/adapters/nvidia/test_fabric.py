import pytest

from tessera.adapters.nvidia.binding import FabricInfo
from tessera.adapters.nvidia.fabric import place_of, state_of, troubles_of

UUID = bytes.fromhex("0123456789abcdef00112233445566ff")


def info(
    state: int = 3, status: int = 0, cluster: bytes = UUID, clique: int = 4, health: int = 0xAA
) -> FabricInfo:
    return FabricInfo(state, status, cluster, clique, health)


def test_the_place_is_written_as_cluster_labels_write_it() -> None:
    assert place_of(info()) == "01234567-89ab-cdef-0011-2233445566ff.4"
    assert place_of(info(clique=0)).endswith(".0")


@pytest.mark.parametrize(
    "not_up", [info(state=2), info(state=0), info(status=23), info(cluster=bytes(16))]
)
def test_a_place_before_the_fabric_is_up_is_none(not_up: FabricInfo) -> None:
    assert place_of(not_up) == ""


@pytest.mark.parametrize(
    ("state", "word"),
    [(0, "unsupported"), (1, "not_started"), (2, "in_progress"), (3, "completed"), (9, "9")],
)
def test_the_state_has_a_word(state: int, word: str) -> None:
    assert state_of(info(state=state)) == word


@pytest.mark.parametrize(
    ("health", "troubles"),
    [
        (0, ()),
        (0xAA, ()),
        (0x1AA, ()),
        (0xA9, ("degraded_bandwidth",)),
        (0xA6, ("route_recovery",)),
        (0x9A, ("route_unhealthy",)),
        (0x6A, ("access_timeout_recovery",)),
        (
            0x55,
            ("degraded_bandwidth", "route_recovery", "route_unhealthy", "access_timeout_recovery"),
        ),
        (0x5AA, ("incorrect_configuration_5",)),
    ],
)
def test_one_is_trouble_and_two_is_none(health: int, troubles: tuple[str, ...]) -> None:
    assert troubles_of(info(health=health)) == troubles


def test_the_health_of_a_fabric_that_is_not_up_says_nothing() -> None:
    assert troubles_of(info(state=2, health=0x55)) is None
