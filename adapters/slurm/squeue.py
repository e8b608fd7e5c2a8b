"""Ask Slurm's controller which jobs hold the devices of this node.

Apart from reading the answer, because it takes a program, a network and as long as it likes: it is
the way for sites that cannot have a prolog.
"""

import json
from typing import Final

from ..background import Unreachable
from ..child import Failed, run
from ..jobs import Held
from .show import HOLDING_STATES, BadShow, held_by, parse_jobs

COMMAND: Final = "squeue"

_PATIENCE = 10.0  # seconds
_LARGEST = 32 * 2**20  # bytes; it is asked for one node's jobs
_FAILED, _UNREADABLE = "failed", "unreadable"


class Squeue:
    """The jobs of one node; nothing is started before it is asked."""

    def __init__(
        self,
        node: str,
        command: str = COMMAND,
        *,
        whole: bool = False,
        patience: float = _PATIENCE,
    ) -> None:
        """Take the node's name in Slurm and the program.

        ``whole`` says that this site's accelerators are not counted by Slurm: a job has them all.
        """
        self._node = node
        states = ",".join(sorted(HOLDING_STATES))
        self._asked = (command, "--json", f"--nodelist={node}", f"--states={states}")
        self._whole = whole
        self._patience = patience

    def __call__(self) -> tuple[Held, ...]:
        """Return what jobs hold now; raise ``Unreachable`` where nobody answers."""
        try:
            jobs = parse_jobs(json.loads(run(self._asked, self._patience, _LARGEST)))
        except Failed as failed:
            raise Unreachable(_FAILED, str(failed)) from None
        except BadShow as bad:
            raise Unreachable(_UNREADABLE, str(bad)) from None
        except (ValueError, RecursionError):
            what = f"what {self._asked[0]} --json writes is no JSON; Slurm 21.08 or newer is needed"
            raise Unreachable(_UNREADABLE, what) from None
        return held_by(jobs, self._node, whole=self._whole)
