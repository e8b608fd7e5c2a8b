from tessera.adapters.metric import LADDER
from tessera.engine.calibration import WINDOWS
from tessera.engine.ranks import BASELINE
from tessera.proto import decode, refuse


def test_the_wire_knows_the_rungs_of_the_catalogue() -> None:
    assert refuse.LADDER == LADDER


def test_the_wire_knows_the_sizes_of_the_engine() -> None:
    assert decode.BASELINE == BASELINE
    assert len(WINDOWS) <= decode.MOST_WINDOWS
