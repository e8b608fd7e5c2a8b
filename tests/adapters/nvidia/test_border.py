from threading import Thread, get_ident

import pytest

from tessera.adapters.nvidia.border import calls, under_way
from tessera.adapters.nvidia.errors import NvmlFailed


def test_a_call_that_this_binding_lacks_is_as_one_that_the_driver_lacks() -> None:
    @calls("nvmlDeviceGetWhatIsYetToCome")
    def ask(device: int) -> int:
        return device

    with pytest.raises(NvmlFailed, match="FUNCTION_NOT_FOUND"):
        ask(1)


def test_the_call_of_a_thread_is_known_to_others_while_it_lasts() -> None:
    seen: list[str] = []

    @calls("nvmlDeviceGetPowerUsage")
    def ask(thread: int) -> None:
        looking = Thread(target=lambda: seen.append(under_way(thread)))
        looking.start()
        looking.join()

    ask(get_ident())
    assert seen == ["nvmlDeviceGetPowerUsage"]
    assert under_way(get_ident()) == ""


def test_a_call_that_fails_is_over() -> None:
    @calls("nvmlDeviceGetPowerUsage")
    def ask() -> None:
        raise NvmlFailed(999)

    with pytest.raises(NvmlFailed):
        ask()
    assert under_way(get_ident()) == ""
