from tessera.agent.remarks import Remarks, remarks

from .hosts import Seeded


class Remarking(Seeded):
    def __init__(self) -> None:
        super().__init__(name="some")
        self.remarks: tuple[str, ...] = ()


def test_a_remark_is_new_once_and_again_after_it_was_gone() -> None:
    source = Remarking()
    made = Remarks([Seeded(), source])
    assert made.new() == ()
    source.remarks = ("no log",)
    assert made.new() == ("some: no log",)
    source.remarks = ("no log", "no events")
    assert made.new() == ("some: no events",)
    source.remarks = ()
    assert made.new() == ()
    source.remarks = ("no log",)
    assert made.new() == ("some: no log",)


def test_sources_without_remarks_make_none() -> None:
    assert remarks([Seeded()]) == ()
