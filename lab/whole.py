"""Write a folder of files whole or not at all.

Apart from what is written, because a reader must never find half of it, nor a person lose what
was there to a run that failed.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp


def write_whole(out: Path, files: Mapping[str, bytes], ours: frozenset[str]) -> None:
    """Make the folder ``out`` hold exactly ``files``; what was there before is replaced.

    Raises ``ValueError`` (one line) for a folder that holds anything but files that are ``ours``,
    ``OSError`` where it cannot be written; what was there stays then.
    """
    _refuse_strangers(out, ours)
    parent = out.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(prefix=f".{out.name}.", dir=parent))
    try:
        draft, former = work / "draft", work / "former"
        draft.mkdir()
        for name, data in files.items():
            (draft / name).write_bytes(data)
        if out.exists():
            out.resolve().rename(former)
        try:
            draft.rename(parent / out.name)
        except OSError:
            if former.exists():
                former.rename(parent / out.name)
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_strangers(out: Path, ours: frozenset[str]) -> None:
    if out.exists() and not out.is_dir():
        message = f"{out}: is no folder; name another one with --out"
        raise ValueError(message)
    strange = sorted(p.name for p in out.iterdir() if p.name not in ours) if out.exists() else []
    if strange:
        message = f"{out}: holds {strange[0]!r}, which is not ours; name another one with --out"
        raise ValueError(message)
