# SPDX-License-Identifier: Apache-2.0
"""YAML files that operators write, read strictly."""

import pathlib
from typing import Any

import yaml

from aacloud.conf import errors


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, where YAML would drop the first."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        keys: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice",
                    key_node.start_mark,
                )
            if isinstance(key, str):
                keys.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: str) -> Any:
    """Return what the file holds: mappings, lists and plain values.

    :raises errors.ConfigurationError: it cannot be read, or is not YAML, or
        a key of a mapping stands twice
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise errors.ConfigurationError(
            [f"{path} cannot be read: {reason}"]
        ) from exc
    try:
        # A SafeLoader: it makes plain objects only.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as exc:
        raise errors.ConfigurationError([f"{path}{_why(exc)}"]) from exc


def _why(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or " ".join(str(exc).split())
    if mark is None:
        return f": {problem}"
    return f", line {mark.line + 1}, column {mark.column + 1}: {problem}"
