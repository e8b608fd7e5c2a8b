"""What this machine itself runs on: boot, kernel, kernel modules, packages.

Apart from the sources of counters, because it is read from a few files twice a minute, and on a
host of any vendor.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..adapters.base import Reading, Shard

NAME: Final = "host"
EACH: Final = 30.0  # seconds between two looks
LONGEST: Final = 200  # bytes of a file that are read
LINES: Final = {
    "boot": "proc/sys/kernel/random/boot_id",
    "kernel": "proc/sys/kernel/osrelease",
    "nvidia_module": "sys/module/nvidia/version",
    "neuron_module": "sys/module/neuron/version",
}
PACKAGES: Final = (
    *("var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages"),
    *("usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"),
)
KUBELET: Final = ("usr/bin/kubelet", "usr/local/bin/kubelet", "opt/bin/kubelet")
REBOOT: Final = ("run/reboot-required", "var/run/reboot-required")


class Machine:
    """A source without shards or counters, asked for its identity alone."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Take the file system that is asked."""
        self.name = NAME
        self.doing = ""
        self._root = root
        self._elements: Mapping[str, str] = {}
        self._read: float | None = None

    def shards(self) -> Sequence[Shard]:
        """Return none: they are other sources'."""
        return ()

    def read(self, at: float) -> list[Reading]:
        """Look at the machine if it is time at ``at`` (seconds); there are no readings."""
        if self._read is None or not self._read <= at < self._read + EACH:
            self._read = at
            self.doing = f"files beneath {self._root}"
            self._elements = elements(self._root)
            self.doing = ""
        return []

    def identity(self) -> Mapping[str, str]:
        """Return what was seen last."""
        return self._elements


def elements(root: Path) -> Mapping[str, str]:
    """Return what can be read beneath ``root`` of what the machine runs on."""
    found = {name: _line(root / file) for name, file in LINES.items()}
    found["packages"] = _changed(root, PACKAGES)
    found["kubelet"] = _changed(root, KUBELET)
    told = {name: value for name, value in found.items() if value}
    return told | {"reboot_required": "yes" if _any_there(root, REBOOT) else "no"}


def _line(path: Path) -> str:
    """Return the one line that the file begins with, "" where there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return text if text.isprintable() else ""


def _changed(root: Path, files: Sequence[str]) -> str:
    """Return when the first of ``files`` that is there was changed, "" if none is."""
    for file in files:
        try:
            seconds = (root / file).stat().st_mtime
            return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
        except (OSError, ValueError, OverflowError):
            continue
    return ""


def _any_there(root: Path, files: Sequence[str]) -> bool:
    return any((root / file).exists() for file in files)
