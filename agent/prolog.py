"""Tell the agent that a Slurm job begins or ends on this node: ``python -m tessera.agent.prolog``.

Apart, and with the standard library alone, because Slurm waits for it with every job, and a prolog
that fails drains the node: it is quick, silent and always ends well.
"""

import os
import sys
from collections.abc import Mapping

from .client import Client, Json

WHOLE = "TESSERA_JOB_DEVICES"  # "all" where Slurm does not count this site's accelerators
MOST = 64  # devices of a node
STATES = ("start", "stop")


def message(state: str, environ: Mapping[str, str]) -> Json | None:
    """Return what is to be told of the job in Slurm's variables, None if it has no devices."""
    job, gpus = environ.get("SLURM_JOB_ID", ""), environ.get("SLURM_JOB_GPUS", "")
    if not job or state not in STATES:
        return None
    told: Json = {"job": f"slurm-{job}", "state": state}
    if state == "stop" or environ.get(WHOLE, "") == "all":
        return told  # of whatever it has, or had
    devices = [number for part in gpus.split(",") for number in _run(part.strip()) if number]
    return {**told, "devices": devices} if devices else None


def _run(part: str) -> list[str]:
    """Return the numbers of ``3`` or ``2-5``, and anything else as it is."""
    first, dash, last = part.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and int(last) - int(first) < MOST:
        return [str(number) for number in range(int(first), int(last) + 1)]
    return [part]


def main() -> None:
    """Tell what the command line (start or stop) and the environment say."""
    told = message(sys.argv[1] if len(sys.argv) > 1 else "", os.environ)
    if told is not None:
        client = Client(os.environ)
        client.tell(told)
        client.close()


if __name__ == "__main__":
    main()
