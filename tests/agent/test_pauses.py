from collections.abc import Sequence
from pathlib import Path

from tessera.adapters.base import Reading, Shard
from tessera.agent.datagram import Note, PauseNote
from tessera.agent.mailbox import Mailbox
from tessera.agent.pauses import Pauses
from tessera.agent.workload import Workload


class Profiled:
    """A source that notes when it is paused and when it goes on."""

    name = "profiled"

    def __init__(self) -> None:
        self.told: list[bool] = []

    def shards(self) -> Sequence[Shard]:
        return ()

    def read(self, at: float) -> list[Reading]:
        del at
        return []

    def pause(self, *, paused: bool) -> None:
        self.told.append(paused)


class Box(Mailbox):
    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.notes: list[Note] = []

    def open(self) -> None:
        """Listen to nobody."""

    def take(self) -> list[Note]:
        said, self.notes = self.notes, []
        return said


def test_a_pause_lasts_as_long_as_was_asked_unless_it_is_ended_or_asked_again() -> None:
    source, box = Profiled(), Box()
    workload = Workload(box)
    pauses = Pauses([source, workload])

    def tick(now: float, *asked: float) -> list[bool]:
        box.notes = [PauseNote(seconds) for seconds in asked]
        workload.read(now)
        pauses.tick(now)
        told, source.told = source.told, []
        return told

    assert tick(0.0) == []
    assert tick(1.0, 60.0) == [True]
    assert tick(31.0, 60.0) == [True]
    assert tick(90.0) == []
    assert tick(91.0) == [False]
    assert tick(92.0, 60.0) == [True]
    assert tick(93.0, 0.0)[-1] is False
    assert tick(200.0) == []
