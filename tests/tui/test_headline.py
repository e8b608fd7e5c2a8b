import pytest

from tessera.tui.headline import banner, headline, waiting
from tessera.tui.view import LinkLost, Picture, count

from .scene import layout, verdict, view
from .scripted import ADDRESS, decoded

FLEET = layout(racks=2, hosts=2, gpus=4)
LOST = LinkLost(ADDRESS, "no aggregator answers", 10.0)
BUSY = decoded(
    view(
        FLEET,
        states={0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6},
        learned=87,
        verdicts=[verdict("a"), verdict("b", guarantee="ranked"), verdict("c", channel="fact")],
    )
)


def line(picture: Picture, monotonic: float = 0.4, width: int = 200) -> str:
    return "  ".join(word.text for word in headline(picture, monotonic, width))


def test_the_first_line_counts_everything() -> None:
    assert line(Picture(ADDRESS, BUSY)) == (
        "TESSERA  prod-east  1 controlled  1 ranked  1 fact  2 learning (87 of 200)  2 abstained  "
        "1 silent  1 frozen  view 0.4 s  FDR ≤ 10 % this epoch  checked 12 s ago"
    )


@pytest.mark.parametrize("width", [60, 78, 100, 118])
def test_a_narrow_first_line_keeps_verdicts_learning_and_age(width: int) -> None:
    text = line(Picture(ADDRESS, BUSY), width=width)
    kept = ("1 controlled", "1 ranked", "1 fact", "2 learning", "view 0.4 s")
    assert all(words in text for words in kept)
    assert len(text) <= max(width, 70)


def test_a_lost_link_makes_the_age_bad_and_says_so() -> None:
    picture = Picture(ADDRESS, BUSY, LOST)
    bad = [word.text for word in headline(picture, 34.0, 200) if word.tone == "bad"]
    assert "view 34 s old" in bad
    assert banner(picture, 34.0)[0].startswith("link lost: no aggregator answers")
    assert picture.dead(34.0)


def test_a_live_view_that_stands_still_is_dead_though_the_link_stands() -> None:
    assert not Picture(ADDRESS, BUSY).dead(14.0)
    assert Picture(ADDRESS, BUSY).dead(16.0)
    assert banner(Picture(ADDRESS, BUSY), 16.0)[0].startswith("no news for 16 s")


def test_a_simulated_clock_may_stand_still() -> None:
    paused = decoded(view(FLEET, clock="replay"))
    assert not Picture(ADDRESS, paused).dead(3600.0)
    assert "replay" in line(Picture(ADDRESS, paused))


def test_before_the_first_view_it_says_whom_it_asks() -> None:
    assert banner(Picture(ADDRESS), 0.0)[0] == f"connecting to {ADDRESS} …"
    assert "no aggregator answers" in banner(Picture(ADDRESS, None, LOST), 0.0)[0]
    assert Picture(ADDRESS).dead(0.0)


def test_a_fleet_that_is_not_formed_counts_nothing() -> None:
    unformed = decoded(view(None, waiting=1300))
    assert waiting(unformed) == "waiting for hosts: 1,300 to come"
    assert "controlled" not in line(Picture(ADDRESS, unformed))


def test_the_slowest_learner_is_counted() -> None:
    assert count(BUSY).least_learned == 87
    assert count(decoded(view(FLEET))).least_learned == 200


def test_a_notice_is_passed_on() -> None:
    assert banner(Picture(ADDRESS, decoded(view(FLEET, notice="restarted"))), 0.0)[0] == "restarted"
