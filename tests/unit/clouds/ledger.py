# SPDX-License-Identifier: Apache-2.0
"""A ledger in memory, as strict as the journal."""

import dataclasses
import threading

from aacloud.core import incidents

#: What an incident's plan says of a server, unless told otherwise.
SNAPSHOT = {"vm_state": "active"}


class Stale(Exception):
    """Somebody else wrote in between, or leads now."""


class Ledger:
    """Compares versions, checks transitions, writes all or nothing."""

    def __init__(self, records=()):
        self._lock = threading.Lock()
        self.rows = {record.server: record for record in records}
        self.story = []
        self.fail_next = None

    def write(self, transitions):
        with self._lock:
            if self.fail_next is not None:
                error, self.fail_next = self.fail_next, None
                raise error
            servers = [one.record.server for one in transitions]
            assert len(set(servers)) == len(servers), "a server twice"
            made = []
            for one in transitions:
                row = self.rows[one.record.server]
                if row.version != one.record.version:
                    raise Stale(one.record.server)
                if one.state is not row.state:
                    incidents.check_transition(row.state, one.state)
                made.append(
                    dataclasses.replace(
                        row,
                        state=one.state,
                        version=row.version + 1,
                        **one.columns,
                    )
                )
            for one, row in zip(transitions, made, strict=True):
                self.rows[row.server] = row
                self.story.append((row.server, row.state.value, one.text))
            return made

    def records(self):
        with self._lock:
            return list(self.rows.values())

    def states(self):
        return {r.server: r.state.value for r in self.records()}

    def path(self, server):
        """The states that a server went through, without repeats."""
        found = []
        for name, state, _ in self.story:
            if name == server and found[-1:] != [state]:
                found.append(state)
        return found


def record(server, destination, **values):
    """A record as the plan makes it."""
    return incidents.ServerRecord(
        **{
            "incident_id": "0f0f0f0f-0000-4000-8000-000000000001",
            "server": server,
            "name": f"name-{server[:8]}",
            "project_id": "p",
            "state": incidents.ServerState.PENDING,
            "version": 1,
            "wave": 2,
            "source": "h1",
            "destination": destination,
            "snapshot": SNAPSHOT,
            **values,
        }
    )
