# SPDX-License-Identifier: Apache-2.0
"""Keys for tests."""

import base64
import pathlib

from aacloud.rpc import signing

FIRST = b"first-key-of-the-tests-000000000"
SECOND = b"second-key-of-the-tests-00000000"
WRONG = b"a-key-that-nobody-else-has-00000"


def ring(**keys: bytes) -> signing.KeyRing:
    """A ring of these keys, the first one signing; k1 alone by default."""
    return signing.KeyRing(keys or {"k1": FIRST})


def write(path: pathlib.Path, **keys: bytes) -> pathlib.Path:
    """Write a key file with these keys, readable by its owner alone."""
    lines = [
        f"{key_id}: {base64.b64encode(key).decode()}\n"
        for key_id, key in keys.items()
    ]
    path.write_text("".join(lines))
    path.chmod(0o600)
    return path
