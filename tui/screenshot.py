"""A picture of the terminal without a terminal, for papers.

Apart from the application, which knows nothing of it.
"""

import asyncio

from textual.pilot import Pilot

from .app import TesseraApp
from .looks import Shot
from .marks import worst_first
from .messages import NodeChosen


class NoPicture(Exception):  # noqa: N818  the name says it: there is nothing to draw
    """No view came in time; its text is one line."""


LOOKS_SECONDS = 0.05  # between two looks whether a view has come
ANSWER_SECONDS = 1.0  # for the panels of a verdict to fill


async def draw(app: TesseraApp, shot: Shot) -> str:
    """Return the terminal as SVG, or raise ``NoPicture``."""
    pictures: list[str] = []

    async def take(pilot: Pilot[object]) -> None:
        if await _seen(app, shot.patience):
            await asyncio.sleep(shot.after)
            await _open_first(app, pilot) if shot.open_first else None
            await pilot.pause()
            pictures.append(app.export_screenshot(title=app.title))
        app.exit()

    await app.run_async(headless=True, size=shot.size, auto_pilot=take)
    if not pictures:
        reason = app.picture.lost.reason if app.picture.lost else "no view came"
        raise NoPicture(reason)
    return pictures[0]


async def _seen(app: TesseraApp, patience: float) -> bool:
    """Return whether a view came within ``patience`` seconds."""
    for _ in range(max(1, round(patience / LOOKS_SECONDS))):
        if app.picture.view is not None:
            return True
        await asyncio.sleep(LOOKS_SECONDS)
    return app.picture.view is not None


async def _open_first(app: TesseraApp, pilot: Pilot[object]) -> None:
    """Open the worst verdict, if one is open, and wait for the answers about it."""
    verdicts = worst_first(app.picture.view) if app.picture.view else []
    if verdicts:
        app.post_message(NodeChosen(verdicts[0].node))
        await pilot.pause(ANSWER_SECONDS)
