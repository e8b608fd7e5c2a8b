"""Write the settings in effect as the TOML file that sets them.

Apart from loading, because only ``--check-config`` writes, and secrets must not be in it.
"""

import json
from pathlib import Path

from pydantic import SecretStr

from .load import Settings


def in_effect(settings: Settings, folder: Path) -> str:
    """Return one line a key and one on ``folder``, the program's own in its ``state_dir``.

    What was not said is marked, what is not set is a comment, and so is a secret.
    """
    lines = []
    for key in type(settings).model_fields:
        value = folder.parent if key == "state_dir" else getattr(settings, key)
        mark = "" if key in settings.model_fields_set else "  # default"
        if value is None:
            lines.append(f"# {key} is not set")
        elif isinstance(value, SecretStr):
            lines.append(f"# {key} is {'set, and not shown' if value else 'not set'}")
        else:
            lines.append(f"{key} = {_toml(value)}{mark}")
    return "\n".join([*lines, f"# writes in {folder}"])


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
