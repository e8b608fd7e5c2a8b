import pytest
from fuzz.mutated import run
from fuzz.targets import Target, targets

SECONDS = 5.0

TARGETS = targets()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_raises_nothing_but_its_own_error(name: str) -> None:
    assert run(TARGETS[name], SECONDS) > 0


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_its_samples(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    samples = TARGETS[name].samples
    assert samples
    for sample in samples:
        TARGETS[name].parse(sample, tmp_path_factory.mktemp("one"))


def test_an_error_that_is_not_a_parsers_own_is_found() -> None:
    def parse(data: bytes, _folder: object) -> None:
        raise KeyError(data) if b"[" in data else ValueError(data[:9].hex() or "empty")

    with pytest.raises(KeyError):
        run(Target("topology", parse, (ValueError,)), 5.0)
