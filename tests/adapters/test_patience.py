"""A driver that hangs before there is an agent costs a minute and one line, never the program."""

from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from tessera.adapters.base import Busy, Reading, Shard, SourceUnavailable
from tessera.adapters.patience import shards_of_source


class Hanging:
    """A source whose driver answers when it is let go."""

    name = "nvml"
    doing = "nvmlInit"

    def __init__(self, fault: Exception | None = None) -> None:
        self.let_go = Event()
        self.fault = fault

    def shards(self) -> Sequence[Shard]:
        self.let_go.wait(10.0)
        if self.fault is not None:
            raise self.fault
        return [Shard("GPU-0", "gpu_shard")]

    def read(self, at: float) -> Iterator[Reading]:
        raise NotImplementedError(at)


def test_a_call_that_hangs_is_named_and_left_behind() -> None:
    source = Hanging()
    assert isinstance(source, Busy)
    with pytest.raises(SourceUnavailable, match="nvmlInit has hung for 0 s; reset the device"):
        shards_of_source(source, 0.01)
    source.let_go.set()


def test_a_source_that_answers_is_as_if_it_were_asked() -> None:
    source = Hanging()
    source.let_go.set()
    assert [shard.id for shard in shards_of_source(source)] == ["GPU-0"]


@pytest.mark.parametrize("fault", [SourceUnavailable("nvml", "none"), TimeoutError("own")])
def test_what_a_source_raises_is_raised(fault: Exception) -> None:
    source = Hanging(fault)
    source.let_go.set()
    with pytest.raises(type(fault)) as raised:
        shards_of_source(source)
    assert raised.value is fault
