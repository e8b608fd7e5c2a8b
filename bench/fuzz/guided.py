"""Coverage-guided fuzzing of one parser by atheris, in a process of its own.

Apart and never imported by the others: atheris must instrument the parsers as they are imported,
ends the process that it runs in, and does not install everywhere.
"""

import sys
from importlib import import_module
from pathlib import Path

atheris = import_module("atheris")  # by name, as checkers know no such module

with atheris.instrument_imports(include=["tessera"], enable_loader_override=False):
    from fuzz.targets import CORPUS, folder, targets


def main() -> None:
    """Fuzz the target argv[1] for argv[2] seconds; a failing input is left in argv[3]."""
    name, seconds, findings = sys.argv[1:]
    target = targets()[name]
    with folder() as made, folder() as grown:
        place = Path(made)

        def feed(data: bytes) -> None:
            for old in place.iterdir():
                old.unlink()
            target.feed(data, place)

        options = [f"-max_total_time={seconds}", "-verbosity=0", f"-artifact_prefix={findings}/"]
        atheris.Setup([sys.argv[0], *options, grown, str(CORPUS / name)], feed)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
