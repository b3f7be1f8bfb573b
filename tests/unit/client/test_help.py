# SPDX-License-Identifier: Apache-2.0
"""Every command explains itself, with examples that work."""

from __future__ import annotations

import argparse
import configparser
import pathlib
import pkgutil
import shlex
from typing import Any

from cliff import app as cliff_app
from cliff import command as cliff_command
from cliff import commandmanager
import pytest

from aacloud.client.osc import watch

ROOT = pathlib.Path(__file__).resolve().parents[3]


def commands() -> dict[str, Any]:
    """Return the commands that setup.cfg names: "ha host list" and so on."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["entry_points"]["openstack.ha.v1"].strip().splitlines()
    found = {}
    for line in lines:
        name, _, target = line.partition("=")
        found[name.strip().replace("_", " ")] = pkgutil.resolve_name(
            target.strip()
        )
    return found


COMMANDS = commands()


def parser_of(name: str) -> argparse.ArgumentParser:
    shell = cliff_app.App("test", "1", commandmanager.CommandManager("none"))
    made: cliff_command.Command = COMMANDS[name](shell, None, cmd_name=name)
    return made.get_parser(f"openstack {name}")


def examples_of(name: str) -> list[list[str]]:
    """Return the words of each example line of a command."""
    text = parser_of(name).epilog or ""
    assert text.startswith("Example"), f"{name} has no example"
    joined = text.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()[1:] if line.strip()]
    assert all(line.startswith("openstack ha ") for line in lines)
    return [shlex.split(line.partition("|")[0]) for line in lines]


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 13
    assert "ha incident confirm-fenced" in COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help(name: str) -> None:
    parser = parser_of(name)
    assert (parser.description or "").strip().endswith((".", "interrupted"))
    text = parser.format_help()
    # The lines of an example stay lines.
    for words in examples_of(name):
        assert any(
            line.startswith(f"  {' '.join(words[:4])}")
            for line in text.splitlines()
        ), text
    for action in parser._actions:
        assert action.help, f"{name}: {action.dest} is not explained"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_examples_can_be_parsed(name: str) -> None:
    own = 0
    for _, *words in examples_of(name):
        length = next(
            length
            for length in (4, 3, 2)
            if " ".join(words[:length]) in COMMANDS
        )
        own += " ".join(words[:length]) == name
        parser_of(" ".join(words[:length])).parse_args(words[length:])
    assert own, f"no example of {name} shows {name}"


@pytest.mark.parametrize(
    ("text", "wanted"), [("1.5", 1.5), ("300", 300.0), ("1e2", 100.0)]
)
def test_seconds(text: str, wanted: float) -> None:
    assert watch.seconds(text) == wanted


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", ""])
def test_wrong_seconds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="number of seconds"):
        watch.seconds(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "h", "--rack", "r"],
        ["--dc", "d", "--host", "h"],
        ["stray"],
    ],
)
@pytest.mark.parametrize("word", ["arm", "disarm", "shadow", "inherit"])
def test_one_domain_at_a_time(
    word: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of(f"ha failover {word}").parse_args(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err
