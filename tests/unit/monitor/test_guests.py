# SPDX-License-Identifier: Apache-2.0
import re

from oslo_config import cfg
import pytest

from aacloud.conf import agent as agent_conf
from aacloud.monitor import guests

UUID = "0c9e5a53-97a7-4a0c-a8c4-3b1c2b4b8a11"
OTHER = "5f3a8d1e-0000-4a0c-a8c4-3b1c2b4b8a11"


@pytest.fixture
def pattern():
    conf = cfg.ConfigOpts()
    agent_conf.register_opts(conf)
    conf([])
    return re.compile(conf.aacloud_agent.guest_process)


class Proc:
    """A /proc with one process for each command line."""

    def __init__(self, path):
        self.path = path
        self._namespace(path / "self", "net:[1]")

    @staticmethod
    def _namespace(place, name):
        (place / "ns").mkdir(parents=True)
        (place / "ns" / "net").symlink_to(name)

    def add(self, pid, *command, namespace="net:[1]"):
        place = self.path / str(pid)
        self._namespace(place, namespace)
        (place / "cmdline").write_bytes(
            b"\0".join(part.encode() for part in command) + b"\0")


@pytest.fixture
def proc(tmp_path):
    return Proc(tmp_path)


def test_guests_are_found_by_their_command_line(proc, pattern):
    proc.add(10, "/usr/bin/qemu-system-x86_64", "-name", "guest=i-1",
             "-uuid", UUID, "-smp", "2")
    proc.add(11, "/usr/libexec/qemu-kvm", "-name", "x", "-uuid", OTHER)
    proc.add(12, "nova-compute", "--config-file", "/etc/nova.conf")
    assert guests.find_guests(pattern, str(proc.path)) == (UUID, OTHER)


def test_guests_of_another_namespace_are_another_hosts(proc, pattern):
    proc.add(10, "qemu-system-x86_64", "-x", "-uuid", UUID,
             namespace="net:[2]")
    assert guests.find_guests(pattern, str(proc.path)) == ()


def test_a_process_that_ends_meanwhile_is_no_error(proc, pattern):
    (proc.path / "13").mkdir()
    assert guests.find_guests(pattern, str(proc.path)) == ()


def test_a_missing_proc_is_told(proc, pattern):
    with pytest.raises(OSError):
        guests.find_guests(pattern, str(proc.path / "missing"))
