"""From the samples of an exporter's page to devices with field numbers: old and new spelling alike.

Apart from the source, because what a page says is one question and when it may be believed another;
it is a pure function of a stranger's text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..exposition import Sample
from ..pod import job_of
from .dcgm_fields import BY_NAME, LABELS, XID_COUNT

MOST: Final = 1024  # devices of a page: eight GPUs of seven slices are 64

_UUID = ("UUID", "uuid", "gpu_uuid")
_MODEL = ("modelName", "model_name")
_SLICE, _PROFILE, _LINK = "GPU_I_ID", "GPU_I_PROFILE", "nvlink"
_SWITCH = "nvswitch"


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, or a slice of one, as one page shows it.

    ``raw`` are its values by field number in the vendor's units, ``links`` those that are given
    for each link apart, ``xids`` how often each code was counted in the exporter's window. ``job``
    is "" also where several jobs hold it. ``labels`` are fields that were turned into labels.
    """

    id: str
    parent: str
    sku: str
    job: str
    raw: Mapping[int, float]
    links: Mapping[int, Mapping[str, float]]
    xids: Mapping[int, float]
    labels: Mapping[str, str]

    @property
    def is_slice(self) -> bool:
        """Say whether it is a slice of the GPU ``parent``."""
        return self.id != self.parent


@dataclass(slots=True)
class _Seen:
    """What the rows of one device said so far."""

    uuid: str
    part: str
    sku: str = ""
    jobs: set[str] = field(default_factory=set)
    raw: dict[int, float] = field(default_factory=dict)
    links: dict[int, dict[str, float]] = field(default_factory=dict)
    xids: dict[int, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def take(self, sample: Sample) -> None:
        """Take one row; a second one of the same field, as there is one for each job, is passed."""
        labels = sample.labels
        self.sku = self.sku or _sku(labels)
        if job := job_of(labels):
            self.jobs.add(job)
        for name in LABELS.keys() & labels.keys():
            self.labels.setdefault(LABELS[name], labels[name])
        known = BY_NAME.get(sample.name)
        if sample.name == XID_COUNT:
            self._count(labels.get("xid", ""), sample.value)
        elif known is not None and labels.get(_LINK):
            self.links.setdefault(known.id, {}).setdefault(labels[_LINK], sample.value)
        elif known is not None:
            self.raw.setdefault(known.id, sample.value)

    def _count(self, code: str, value: float) -> None:
        if code.isascii() and code.isdigit() and len(code) < len("10000"):
            self.xids.setdefault(int(code), value)

    def device(self) -> Device:
        """Return all of it."""
        name = slice_id(self.uuid, self.part) if self.part else self.uuid
        job = next(iter(self.jobs)) if len(self.jobs) == 1 else ""
        found = (self.raw, self.links, self.xids, self.labels)
        return Device(name, self.uuid, self.sku, job, *found)


def slice_id(uuid: str, instance: str) -> str:
    """Return the id of the slice with the GPU ``instance`` number of the GPU ``uuid``.

    It is that of NVML's source for the first compute instance, which is the only one but for hosts
    that cut twice: the exporter does not tell them apart.
    """
    return f"{uuid}/{instance}/0"


def devices_of(samples: Iterable[Sample]) -> tuple[Device, ...]:
    """Return the devices that the ``samples`` speak of, in the order in which they come first.

    Rows of switches, of CPUs and without a device's UUID are passed over.
    """
    seen: dict[tuple[str, str], _Seen] = {}
    for sample in samples:
        uuid = _first(sample.labels, _UUID)
        if not uuid or (sample.labels.get(_SWITCH) and not sample.labels.get(_LINK)):
            continue
        key = (uuid, sample.labels.get(_SLICE, ""))
        if key not in seen and len(seen) >= MOST:
            continue
        seen.setdefault(key, _Seen(*key)).take(sample)
    return tuple(found.device() for found in seen.values() if found.raw or found.links)


def _sku(labels: Mapping[str, str]) -> str:
    model, profile = _first(labels, _MODEL), labels.get(_PROFILE, "")
    return f"{model} {profile}".strip()


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
