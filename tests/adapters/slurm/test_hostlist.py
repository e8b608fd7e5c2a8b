import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.slurm.hostlist import BadHostlist, expand


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("acc-7", ["acc-7"]),
        (
            "gpu-[001-003,005],cpu[1-2]",
            ["gpu-001", "gpu-002", "gpu-003", "gpu-005", "cpu1", "cpu2"],
        ),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
        ("a[9-11]", ["a9", "a10", "a11"]),
        ("gpu-[010,001,010]", ["gpu-010", "gpu-001", "gpu-010"]),
        ("x, y", ["x", "y"]),
    ],
)
def test_names_are_those_that_slurm_means(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize(
    "text",
    ["p[1,3-4]-ib0", "a[", "a]", "a[[1]]", "a[1-]", "a[3-1]", "a[x]", "a[]", "a b", "a[1-9999999]"],
)
def test_what_is_no_list_of_hosts_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadHostlist) as refused:
        expand(text)
    assert "\n" not in str(refused.value)


def test_a_short_text_cannot_mean_millions() -> None:
    with pytest.raises(BadHostlist, match="at most"):
        expand("a[0-999]" + "b[0-999]" * 5)
    with pytest.raises(BadHostlist, match="at most 3"):
        expand("a,b,c,d", most=3)


@given(st.lists(st.tuples(st.sampled_from(["n", "gpu-"]), st.integers(0, 999)), max_size=6))
def test_names_written_one_by_one_come_back(hosts: list[tuple[str, int]]) -> None:
    names = [f"{name}{number}" for name, number in hosts]
    assert expand(",".join(names)) == names
    assert expand(",".join(f"{name}[{number}]" for name, number in hosts)) == names


@given(st.text(alphabet="ab[]-,019 \n", max_size=30))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    try:
        found = expand(text, most=50)
    except BadHostlist:
        return
    assert len(found) <= 50
