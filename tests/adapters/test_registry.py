import pytest

from tessera.adapters.registry import DuplicateName, Registry, UnknownName


def test_a_factory_is_found_under_its_name() -> None:
    registry: Registry[list[int]] = Registry("list")
    registry.add("empty", list)
    assert registry.factory("empty")() == []


def test_a_second_factory_under_one_name_is_refused() -> None:
    registry: Registry[list[int]] = Registry("counter source")
    registry.add("nvml", list)
    with pytest.raises(DuplicateName, match="counter source 'nvml' is registered already"):
        registry.add("nvml", list)


def test_an_unknown_name_lists_what_exists_and_what_was_meant() -> None:
    registry: Registry[list[int]] = Registry("counter source")
    registry.add("nvml", list)
    registry.add("dcgm", list)
    with pytest.raises(UnknownName) as caught:
        registry.factory("nvlm")
    assert str(caught.value) == (
        "no counter source is called 'nvlm'; did you mean 'nvml'? there are: dcgm, nvml"
    )


def test_an_empty_registry_says_that_there_are_none() -> None:
    with pytest.raises(UnknownName, match="there are: none"):
        Registry[int]("source").factory("x")
