# SPDX-License-Identifier: Apache-2.0
"""The keys that sign probes and reports: HMAC-SHA256 with several keys.

The key file holds one ``key-id: base64`` a line; ``#`` starts a comment. The
first key signs, every key is accepted. So a key is replaced without a gap:
append the new key on all hosts, move it to the front, remove the old one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
import enum
import hashlib
import hmac
import logging
import os
import re
import stat
import threading

from aacloud.conf import errors

LOG = logging.getLogger(__name__)

MAC_BYTES = 32
MIN_KEY_BYTES = 16
MAX_KEYS = 32

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")
_MAX_FILE_BYTES = 64 * 1024


class Purpose(bytes, enum.Enum):
    """What a signature is for; one made for a purpose fails for another."""

    PROBE = b"aacloud probe 1\0"
    REPORT = b"aacloud report 1\0"
    PEERS = b"aacloud peers 1\0"
    ASSIGNMENT = b"aacloud assignment 1\0"


class Check(enum.Enum):
    """The outcome of checking a signature."""

    GOOD = "good"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"


class KeyFileError(errors.ConfigurationError):
    """The key file cannot be used.

    :param path: the file
    :param found: every problem found, a few words each
    """

    def __init__(self, path: str, found: tuple[str, ...]) -> None:
        self.path = path
        problem = (
            f"the key file {path} cannot be used: {'; '.join(found)}. Write "
            "one 'key-id: base64' a line, for instance with 'echo \"key1: "
            "$(openssl rand -base64 32)\"'; all agents and engines of the "
            "cloud need the same keys"
        )
        super().__init__([problem])


def generate_key() -> str:
    """Return a new random key as it stands in the key file (base64)."""
    return base64.b64encode(os.urandom(32)).decode("ascii")


def parse_keys(text: str, path: str = "<keys>") -> dict[str, bytes]:
    """Read the text of a key file.

    :param text: the whole text
    :param path: named in the error
    :returns: key id to key, the signing key first
    :raises KeyFileError: naming every bad line; no key is ever shown
    """
    keys: dict[str, bytes] = {}
    problems: list[str] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        key_id, colon, encoded = line.partition(":")
        key_id = key_id.strip()
        if not colon or not _KEY_ID.match(key_id):
            problems.append(
                f"line {number} does not start with 'key-id:' (1 to 32 "
                "letters, digits, '.', '_' or '-')"
            )
            continue
        if key_id in keys:
            problems.append(f"line {number} repeats the key id {key_id!r}")
            continue
        try:
            key = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            problems.append(f"line {number} ({key_id!r}) is not base64")
            continue
        if len(key) < MIN_KEY_BYTES:
            problems.append(
                f"line {number} ({key_id!r}) has {len(key)} bytes, at least "
                f"{MIN_KEY_BYTES} are needed"
            )
            continue
        keys[key_id] = key
    if not keys and not problems:
        problems.append("it holds no key")
    if len(keys) > MAX_KEYS:
        problems.append(f"it holds {len(keys)} keys, {MAX_KEYS} are allowed")
    if problems:
        raise KeyFileError(path, tuple(problems))
    return keys


class KeyRing:
    """The accepted keys; the first one signs. Safe to use from all threads.

    :param keys: key id to key, the signing key first; not empty
    :param path: the file to read again at :meth:`reload`; None: no file
    """

    def __init__(
        self, keys: Mapping[str, bytes], path: str | None = None
    ) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys: Mapping[str, bytes] = {}
        self._signing_id = ""
        self._use(dict(keys))

    @classmethod
    def from_file(cls, path: str) -> KeyRing:
        """Read a key file.

        :raises KeyFileError: it is missing, unreadable or wrong
        """
        return cls(_read(path), path)

    def _use(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise KeyFileError(self._path or "<keys>", ("it holds no key",))
        with self._lock:
            # Replaced as a whole: a reader sees the old keys or the new.
            self._keys = keys
            self._signing_id = next(iter(keys))

    @property
    def signing_id(self) -> str:
        """The id of the key that signs."""
        return self._signing_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all accepted keys."""
        return tuple(self._keys)

    def reload(self) -> None:
        """Read the file again; with no file, nothing happens.

        :raises KeyFileError: the file is wrong; the old keys stay in use
        """
        if self._path is None:
            return
        before = self.key_ids
        self._use(_read(self._path))
        if self.key_ids != before:
            LOG.info(
                "The keys were read again from %s: %s sign(s), accepted "
                "are %s",
                self._path,
                self.signing_id,
                ", ".join(self.key_ids),
            )

    def sign(self, data: bytes, purpose: Purpose) -> tuple[str, bytes]:
        """Sign ``data``.

        :returns: the id of the key and the MAC (32 bytes)
        """
        with self._lock:
            key_id, keys = self._signing_id, self._keys
        return key_id, mac_of(keys[key_id], data, purpose)

    def signing_key(self) -> tuple[str, bytes]:
        """Return the id and the key to sign several things with."""
        with self._lock:
            return self._signing_id, self._keys[self._signing_id]

    def check(
        self, key_id: str, mac: bytes, data: bytes, purpose: Purpose
    ) -> Check:
        """Check that ``mac`` was made over ``data`` with an accepted key."""
        key = self._keys.get(key_id)
        if key is None:
            return Check.UNKNOWN_KEY
        if hmac.compare_digest(mac_of(key, data, purpose), mac):
            return Check.GOOD
        return Check.BAD_SIGNATURE


def mac_of(key: bytes, data: bytes, purpose: Purpose) -> bytes:
    """Return the MAC of ``data`` under ``key`` for one purpose."""
    return hmac.digest(key, purpose.value + data, hashlib.sha256().name)


def _read(path: str) -> dict[str, bytes]:
    try:
        with open(path, "rb") as source:
            mode = os.fstat(source.fileno()).st_mode
            raw = source.read(_MAX_FILE_BYTES + 1)
        if len(raw) > _MAX_FILE_BYTES:
            raise KeyFileError(
                path, (f"it is larger than {_MAX_FILE_BYTES} bytes",)
            )
        text = raw.decode("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise KeyFileError(path, (reason,)) from error
    except UnicodeDecodeError as error:
        raise KeyFileError(path, ("it is not UTF-8 text",)) from error
    if stat.S_IMODE(mode) & 0o077:
        LOG.warning(
            "The key file %s is open to other users (mode %04o): whoever "
            "reads it can forge probes and reports. Run 'chmod 600 %s', or "
            "640 with the group of the service's user alone.",
            path,
            stat.S_IMODE(mode),
            path,
        )
    return parse_keys(text, path)
