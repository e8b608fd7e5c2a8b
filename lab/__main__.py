"""`tessera`: the operator's toolbox, one command per task.

Apart, because every command lives in a file of its own and this only names them.
"""

import os

# Small arrays gain nothing from threads, and published numbers must not depend on them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import click

from .. import __version__
from ..settings.refused import HELP, OneLineGroup
from .curate import curate_baseline
from .demo import demo
from .replay import replay
from .simulate import simulate


@click.group("tessera", cls=OneLineGroup, context_settings=HELP)
@click.version_option(__version__, prog_name="tessera")
def main() -> None:
    """Name the accelerator that went quietly wrong, and say how sure that is."""


main.add_command(curate_baseline)
main.add_command(demo)
main.add_command(replay)
main.add_command(simulate)

if __name__ == "__main__":
    main()
