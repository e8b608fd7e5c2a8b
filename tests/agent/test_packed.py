import pytest

from tessera.agent.packed import packed, unpacked


def test_a_tree_comes_back_as_it_was() -> None:
    assert unpacked(packed(["plan", [1.5, None], [1, b"x"]])) == ["plan", [1.5, None], [1, b"x"]]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\x81\x90\x01", b"\x01\x02"])
def test_bytes_that_are_no_tree_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not what a snapshot is packed as") as refused:
        unpacked(data)
    assert "\n" not in str(refused.value)
