"""Pictures of every state of the terminal, approved by eye; `--snapshot-update` takes new ones."""

from collections.abc import Callable
from datetime import timedelta, timezone

import numpy as np
import pytest
from textual.pilot import Pilot

from tessera.proto.schema import console
from tessera.settings.clock import ManualClock
from tessera.tui.app import TesseraApp, make_app
from tessera.tui.view import LinkLost, View

from .scene import AT, NS, layout, verdict, view
from .scripted import ADDRESS, AGE, ScriptedAggregator, decoded

Snap = Callable[..., bool]

QUESTIONS = {"explain", "history", "raw"}
WIDE, NARROW = (120, 36), (80, 24)
SMALL = layout(racks=4, hosts=4, gpus=8)
SHARD = "r02-h1-gpu5"
MIXED = {
    **dict.fromkeys(range(8, 16), 5),
    **dict.fromkeys(range(24, 32), 4),
    **dict.fromkeys(range(40, 44), 1),
    50: 3,
    51: 2,
    60: 6,
}
EVIDENCE = {100 + step: 2.0 + step for step in range(8)}


def app_on(
    *news: View | LinkLost | float, answers: tuple[object, ...] = (), ascii_only: bool = False
) -> tuple[TesseraApp, ScriptedAggregator]:
    clock = ManualClock(AT)
    aggregator = ScriptedAggregator(clock, news, *answers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the three answers in order
    zone = timezone(timedelta(hours=1))
    return make_app(aggregator, clock, zone=zone, ascii_only=ascii_only), aggregator


def shown(app_and_script: tuple[TesseraApp, ScriptedAggregator], *keys: str) -> dict[str, object]:
    """Return how ``snap_compare`` is to wait for all news, and press ``keys``."""
    app, script = app_and_script

    async def before(pilot: Pilot[None]) -> None:
        while not script.told:
            await pilot.pause()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        asked = [worker for worker in app.workers if worker.group in QUESTIONS]
        if asked:  # waiting for none would be waiting for all, and one never ends
            await app.workers.wait_for_complete(asked)
        await pilot.pause()

    return {"app": app, "run_before": before}


def suspects() -> list[console.Verdict]:
    ranked = {"guarantee": "ranked", "validity_class": "empirical", "log_e": 8.8}
    return [
        verdict(SHARD),
        verdict("r03", "rack", channel="level", metrics=["step_time_seconds"], **ranked),
        verdict("r00-h2", "host", **{**ranked, "log_e": 7.0}),
        verdict("r01-h1-gpu0", channel="fact", reason="XID 79, lost device", owner="ana"),
        verdict("prod-east", "cluster", **{**ranked, "channel": "temporal"}),
    ]


def answers() -> tuple[object, ...]:
    rng = np.random.default_rng(1)
    at = AT - 3600 + 30 * np.arange(121)
    log_e = np.where(at < AT - 1330, -0.5, (at - AT + 1330) * 0.01)
    log_e[[70, 71]] = np.nan
    ticks = AT - 600 + np.arange(600)
    power = 700 - 60 * (ticks > AT - 300) + rng.normal(0, 8, 600)
    clock = 1980.0 - 90 * (ticks > AT - 280) + rng.normal(0, 1, 600)
    since = (AT - 1330) * NS
    return (
        console.Explanation(
            node=SHARD,
            kind="gpu_shard",
            path=["prod-east", "r02", "r02-h1"],
            group="r02 · H100 · llama",
            members=72,
            parts=[
                console.Part(
                    channel="slow change",
                    metric="sm_clock_hertz",
                    rung=30,
                    log_m=3.2,
                    weight=0.25,
                    validity_class="empirical",
                    since_ns=since,
                    reason="its variance drifts",
                ),
                console.Part(
                    channel="fast change",
                    metric="power_watts",
                    rung=5,
                    log_m=14.2,
                    weight=0.25,
                    validity_class="construction",
                    since_ns=since,
                ),
            ],
            why=[
                "71 peers in r02 with the same job did not move.",
                "Its host's other seven did not either: the shard is blamed, not r02-h1 or r02.",
            ],
            audit=[
                console.AuditLine(at_ns=(AT - 1000) * NS, kind="promoted", text="log e 11.8"),
                console.AuditLine(at_ns=(AT - 1080) * NS, kind="opened", text="ranked"),
            ],
            verdict=verdict(SHARD),
        ),
        console.HistoryReply(node=SHARD, at=at.tolist(), log_e=log_e.tolist(), threshold=9.4),
        console.RawTicksReply(
            shard=SHARD,
            metrics=["power_watts", "sm_clock_hertz"],
            at=ticks.tolist(),
            values=np.stack([power, clock], axis=1).ravel().tolist(),
        ),
    )


def test_before_the_first_view_it_says_whom_it_connects_to(snap_compare: Snap) -> None:
    lost = LinkLost(ADDRESS, "no aggregator answers (connection refused)", 0.0)
    assert snap_compare(**shown(app_on(lost)), terminal_size=NARROW)


def test_before_the_fleet_is_formed_it_says_how_many_hosts_are_to_come(snap_compare: Snap) -> None:
    assert snap_compare(**shown(app_on(decoded(view(None, waiting=13)), AGE)), terminal_size=NARROW)


def test_a_quiet_fleet(snap_compare: Snap) -> None:
    assert snap_compare(**shown(app_on(decoded(view(SMALL)), AGE)), terminal_size=WIDE)


def test_a_fleet_that_learns(snap_compare: Snap) -> None:
    learning = view(SMALL, states=dict.fromkeys(range(128), 1), learned=87)
    assert snap_compare(**shown(app_on(decoded(learning), AGE)), terminal_size=WIDE)


def test_verdicts_of_every_kind_among_shards_in_every_state(snap_compare: Snap) -> None:
    mixed = view(SMALL, states=MIXED, evidence=EVIDENCE, learned=140, verdicts=suspects())
    assert snap_compare(**shown(app_on(decoded(mixed), AGE)), terminal_size=WIDE)


def test_a_small_terminal_drops_the_right_pane_below(snap_compare: Snap) -> None:
    mixed = view(SMALL, states=MIXED, evidence=EVIDENCE, learned=140, verdicts=suspects())
    assert snap_compare(**shown(app_on(decoded(mixed), AGE)), terminal_size=NARROW)


def test_plain_characters_only(snap_compare: Snap) -> None:
    mixed = view(SMALL, states=MIXED, evidence=EVIDENCE, learned=140, verdicts=suspects())
    app = app_on(decoded(mixed), AGE, ascii_only=True)
    assert snap_compare(**shown(app), terminal_size=WIDE)


def test_ten_thousand_shards_are_shown_by_host(snap_compare: Snap) -> None:
    large = view(
        layout(racks=157, hosts=8, gpus=8),
        states=dict.fromkeys(range(640, 704), 5),
        evidence={5000: 8.0},
        verdicts=[verdict("r40-h3-gpu5"), verdict("r98", "rack", guarantee="ranked", log_e=9.0)],
    )
    assert snap_compare(**shown(app_on(decoded(large), AGE)), terminal_size=WIDE)


def test_a_dead_link_paints_everything_grey_and_its_age_red(snap_compare: Snap) -> None:
    mixed = view(SMALL, states=MIXED, evidence=EVIDENCE, learned=140, verdicts=suspects())
    lost = LinkLost(ADDRESS, "no aggregator answers (connection refused)", 4.0)
    assert snap_compare(**shown(app_on(decoded(mixed), 34.0, lost)), terminal_size=WIDE)


def test_the_map_says_what_is_under_its_cursor(snap_compare: Snap) -> None:
    mixed = view(SMALL, states=MIXED, evidence=EVIDENCE, learned=140, verdicts=suspects())
    keys = ("shift+tab", "j", *["l"] * 9)
    assert snap_compare(**shown(app_on(decoded(mixed), AGE), *keys), terminal_size=WIDE)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_verdict_with_its_reasons(snap_compare: Snap, size: tuple[int, int]) -> None:
    app = app_on(decoded(view(SMALL, verdicts=[verdict(SHARD)])), AGE, answers=answers())
    assert snap_compare(**shown(app, "enter"), terminal_size=size)


def test_a_verdict_that_recovers_says_how_large_it_was_and_since_when(snap_compare: Snap) -> None:
    effect = console.Effect(
        low=22.1,
        middle=24.3,
        high=26.0,
        unit="W",
        metric="power_watts",
        validity_class="empirical",
    )
    better = verdict(SHARD, state="recovering", state_since_ns=(AT - 600) * NS, effect=effect)
    app = app_on(decoded(view(SMALL, verdicts=[better])), AGE, answers=answers())
    assert snap_compare(**shown(app, "enter"), terminal_size=WIDE)


def test_a_verdict_about_which_nobody_answers(snap_compare: Snap) -> None:
    app = app_on(decoded(view(SMALL, verdicts=[verdict(SHARD)])), AGE)
    assert snap_compare(**shown(app, "enter"), terminal_size=NARROW)


def test_help_lists_keys_and_glyphs(snap_compare: Snap) -> None:
    app = app_on(decoded(view(SMALL)), AGE)
    assert snap_compare(**shown(app, "question_mark"), terminal_size=(100, 44))
