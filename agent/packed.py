"""Snapshots as bytes and back, by msgpack.

Apart, because the engine that makes the trees may not know a document format, and because what
comes off a disk is not believed before it was looked at.
"""

from typing import cast

import msgpack  # type: ignore[import-untyped]  # it ships no types

from ..engine.snapshot import Tree


def packed(tree: Tree) -> bytes:
    """Return ``tree`` as bytes; the same tree makes the same bytes."""
    return cast("bytes", msgpack.packb(tree))


def unpacked(data: bytes) -> Tree:
    """Return the tree that ``data`` holds; raise ``ValueError`` (one line) where it is none."""
    try:
        return cast("Tree", msgpack.unpackb(data, strict_map_key=False))
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as bad:
        message = f"is not what a snapshot is packed as ({type(bad).__name__})"
        raise ValueError(message) from None
