"""The health of links as the vendor's library writes it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.tpu.ici import BadLink, parse_link, worst

SHARED = Path(__file__).resolve().parents[4] / "shared"
SAMPLE = SHARED / "reference/samples/tpu/tpumonitoring_ici_link_health.txt"


@pytest.mark.parametrize(
    ("score", "state"),
    [
        (0, "healthy"),
        (1, "transient"),
        (5, "transient"),
        (6, "degraded"),
        (9, "degraded"),
        (10, "down"),
    ],
)
def test_a_score_is_one_of_four_states(score: int, state: str) -> None:
    link = parse_link(f"tray2.chip1.ici3.ext: {score}")
    assert (link.tray, link.chip, link.port, link.outside) == ("tray2", "chip1", "ici3", True)
    assert (link.name, link.score, link.state) == ("tray2.chip1.ici3.ext", score, state)


@pytest.mark.skipif(not SAMPLE.is_file(), reason="../shared/reference/samples is not there")
def test_what_the_library_was_seen_to_say_is_read() -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    links = [parse_link(line) for line in lines if not line.startswith("#")]
    assert [link.state for link in links] == ["healthy", "down"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tray1.chip3.ici0.int",
        "tray1.chip3.ici0.int: 11",
        "tray1.chip3.ici0.int: -1",
        "tray1.chip3.ici0.mid: 0",
        "tray1.chip3.int: 0",
        "tray1.chip3.ici0.int: ٣",
        "tray1.chip3.ici0.int: 0\ntray1.chip3.ici1.int: 0",
    ],
)
def test_another_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadLink) as refused:
        parse_link(text)
    assert "\n" not in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(BadLink):
        parse_link(text + "?")


def test_the_worst_of_the_links_that_work_is_the_metric() -> None:
    links = [parse_link(f"tray1.chip0.ici{n}.int: {score}") for n, score in enumerate((0, 7, 10))]
    assert worst(links) == 7
    assert worst([]) == 0
