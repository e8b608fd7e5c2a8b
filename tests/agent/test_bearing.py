import pytest

from tessera.agent.bearing import shard_of

HOST = ("GPU-aaaaaaaa-1", "GPU-aaaaaaaa-2", "GPU-bbbbbbbb-3", "GPU-cccccccc-4")


@pytest.mark.parametrize(
    ("device", "among", "place"),
    [
        ("2", (), 2),
        ("4", (), None),
        ("GPU-aaaaaaaa-2", (), 1),
        ("GPU-bbbb", (), 2),  # CUDA takes a clear beginning of a name
        ("GPU-bbb", (), None),  # too short to be one
        ("GPU-aaaaaaaa", (), None),  # two begin so
        ("nobody", (), None),
        ("0", ("3", "1"), 1),  # of a job's devices, which the host has in this order
        ("1", ("GPU-cccccccc-4", "GPU-aaaaaaaa-1"), 3),
        ("2", ("3", "1"), None),
        ("", (), None),
        ("", ("2",), 2),
        ("-1", (), None),
        ("99999999999999999999", (), None),
    ],
)
def test_a_device_is_one_shard_or_nobody(
    device: str, among: tuple[str, ...], place: int | None
) -> None:
    assert shard_of(HOST, device, among) == (None if place is None else HOST[place])


def test_the_only_shard_of_a_host_need_not_be_named() -> None:
    assert shard_of(HOST[:1], "") == HOST[0]
    assert shard_of((), "0") is None
