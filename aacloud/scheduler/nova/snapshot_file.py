# SPDX-License-Identifier: Apache-2.0
"""The snapshot on disk: what a scheduler knows that starts while messaging
or all engines are down.

All workers of a host share the file. Its first line is a head, ``{"format",
"revision", "length", "sha256"}``, the rest the snapshot as it travels. The
modification time tells when an engine last confirmed it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
import time

from aacloud.rpc import envelope
from aacloud.rpc import snapshot as rpc_snapshot

FORMAT = 1

#: A larger file is not read.
MAX_BYTES = 512 * 1024 * 1024


class Unusable(Exception):
    """The file cannot be used.

    :ivar reason: missing, unreadable, corrupt or version
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


def read(
    path: pathlib.Path, reader: rpc_snapshot.Reader | None = None,
) -> tuple[rpc_snapshot.Snapshot, float]:
    """Return the snapshot and its age: seconds since it was confirmed.

    :raises Unusable: with the reason
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > MAX_BYTES:
                raise Unusable("corrupt", f"{path} is too large")
            head, body = file.readline(4096), file.read()
    except FileNotFoundError as error:
        raise Unusable("missing", f"there is no {path}") from error
    except OSError as error:
        raise Unusable(
            "unreadable", f"{path} cannot be read: {error}") from error
    found = _head(path, head)
    if (
        found.get("length") != len(body)
        or found.get("sha256") != hashlib.sha256(body).hexdigest()
    ):
        raise Unusable(
            "corrupt", f"{path} is not what was written: its length or "
            "checksum differs; it is written again with the next change")
    try:
        snapshot = (reader or rpc_snapshot.Reader()).read(json.loads(body))
    except envelope.MessageError as error:
        reason = "version" if error.reason == "newer-version" else "corrupt"
        raise Unusable(reason, f"{path}: {error}") from error
    except (ValueError, RecursionError, rpc_snapshot.Unavailable) as error:
        raise Unusable("corrupt", f"{path}: {error}") from error
    # A clock that went back must not make it young for ever.
    return snapshot, abs(time.time() - status.st_mtime)


def write(path: pathlib.Path, snapshot: rpc_snapshot.Snapshot) -> None:
    """Put a snapshot in the file's place in one step.

    :raises OSError: it cannot be written; what was there stays
    """
    body = json.dumps(
        rpc_snapshot.snapshot_body(snapshot), separators=(",", ":")).encode()
    head = json.dumps({
        "format": FORMAT, "revision": snapshot.revision, "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest()}).encode()
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(head + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        pathlib.Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            pathlib.Path(name).unlink()
        raise


def confirm(path: pathlib.Path, revision: int) -> bool:
    """Mark the file as true now, if it holds this revision.

    :returns: False when it holds another one, or cannot be used
    """
    try:
        with path.open("rb") as file:
            if _head(path, file.readline(4096)).get("revision") != revision:
                return False
        os.utime(path)
    except (OSError, Unusable):
        return False
    return True


def _head(path: pathlib.Path, line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise Unusable("corrupt", f"{path} has no readable head") from error
    if not isinstance(found, dict):
        raise Unusable("corrupt", f"{path} has no readable head")
    if found.get("format") != FORMAT:
        raise Unusable(
            "version", f"{path} has format {found.get('format')!r}, this "
            f"aacloud knows format {FORMAT}")
    return found
