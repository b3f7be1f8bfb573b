# SPDX-License-Identifier: Apache-2.0
"""The filter in a process that starts as nova-scheduler does."""

import os
import pathlib
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[3]

CONF = """
[DEFAULT]
transport_url = fake://
[aacloud_scheduler]
host = scheduler-1
poll_interval = 2.5
first_wait = 20
"""

PROGRAM = """
import os
import sys
import threading

from nova import config
from nova.conf import CONF

# As nova.cmd.scheduler does: the options are read before filters are loaded.
config.parse_args(["nova-scheduler", "--config-file", sys.argv[1]])

from nova.scheduler import host_manager
import oslo_messaging
from oslo_messaging import opts as messaging_opts

from aacloud.rpc import groups_server
from aacloud.rpc import snapshot
from aacloud.scheduler.nova import filter as group_filter
from aacloud.scheduler.nova import weigher as group_weigher

handler = host_manager.filters.HostFilterHandler()
assert handler.get_matching_classes(
    ["aacloud.scheduler.nova.filter.HAGroupFilter"],
) == [group_filter.HAGroupFilter]
assert group_weigher.HAGroupWeigher()
assert CONF.aacloud_scheduler.poll_interval == 2.5
assert threading.active_count() == 1, "nothing runs before the first request"


class Answers:
    acked = threading.Event()

    def snapshot(self, known, topology):
        return {"format": 1, "revision": 5, "groups": [
            {"id": "g", "name": "g", "project_id": "p", "mode": "enforce",
             "revision": 5, "members": ["s"], "rules": [
                 {"kind": "fence", "level": "dc", "domains": ["dc1"]}]}],
            "generated_at": "2026-05-04T03:02:01+00:00",
            "topology": {"h1": ["r1", "dc1"], "h2": ["r2", "dc2"]}}

    def ack(self, scheduler, revision):
        self.told = (scheduler, revision)
        self.acked.set()


class State:
    aggregates, num_instances, stats, instances = (), 0, {}, {}

    def __init__(self, host):
        self.host = host


class Spec:
    instance_uuid, project_id, num_instances = "s", "p", 1
    scheduler_hints = instance_group = None


class Nowhere:
    def read(self, servers, timeout_s):
        from aacloud.scheduler.nova import occupancy
        return occupancy.Reading({})


rabbit = dict(messaging_opts.list_opts())["oslo_messaging_rabbit"]
CONF.register_opts(rabbit, group="oslo_messaging_rabbit")
answers = Answers()
transport = oslo_messaging.get_rpc_transport(CONF)
server = groups_server.groups_server(transport, answers, name="engine")
server.start()
assert server.wait_listening(20)
group_filter.decider()._where = Nowhere()
hosts = [State("h1"), State("h2")]
passed = group_filter.HAGroupFilter().filter_all(hosts, Spec())
assert [one.host for one in passed] == ["h1"], passed
assert answers.acked.wait(20)
assert answers.told == (f"scheduler-1:{os.getpid()}", 5), answers.told
# Nova's own messaging is as the operator set it up.
assert CONF.oslo_messaging_rabbit.heartbeat_timeout_threshold == 60
print("all is well", flush=True)
os._exit(0)
"""


def test_it_starts(tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "nova.conf"
    conf.write_text(CONF)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROGRAM),
         str(conf)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OS_NOVA_DISABLE_EVENTLET_PATCHING": "1"})
    assert "all is well" in done.stdout, done.stdout + done.stderr
