"""Which facts of a former process nobody can end any more: those end here, with the reason.

Apart from the sources, each of which ends what it can still see: an alarm whose device was taken
out, or whose source is no longer read, would otherwise stand for ever.
"""

from collections.abc import Collection, Iterator

from ..adapters.base import Fact
from .sampler import Known


def replaced(
    standing: Collection[Known], here: Collection[str], before: Collection[str], at: float
) -> Iterator[Fact]:
    """Yield at ``at`` (Unix seconds) the ends of the facts of devices that were taken out.

    ``here`` are the shards of now, ``before`` those that a former process had. A device that is
    not here was taken out if as many devices are here as ever were: one is in its place. If there
    are fewer it may be lost, and its facts stand.
    """
    ever = _devices([*before, *(shard for shard, _ in standing if shard)])
    if not before or len(_devices(here)) < len(ever):
        return
    for shard, code in standing:
        if shard and shard not in here and _device(shard) not in _devices(here):
            detail = "this device is not here any more, and another is in its place"
            yield Fact(shard, code, at, stands=False, detail=detail)


def orphaned(
    standing: Collection[Known], here: Collection[str], taken: Collection[Known], at: float
) -> Iterator[Fact]:
    """Yield the ends of the facts of shards ``here``, or of the host, that no source took up."""
    for shard, code in standing:
        if (shard, code) not in taken and (not shard or shard in here):
            yield Fact(shard, code, at, stands=False, detail="no source here reads it any more")


def _devices(shards: Collection[str]) -> set[str]:
    return {_device(shard) for shard in shards}


def _device(shard: str) -> str:
    """Return the device that ``shard`` is, or is a slice of."""
    return shard.partition("/")[0]
