# SPDX-License-Identifier: Apache-2.0
"""What a test does in the lab: servers on a host, the host's death."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import dataclasses
import itertools
import time
from typing import Any

from tests.lab import servers
from tests.lab.control import Lab
from tests.lab.suite import calm
from tests.lab.suite import truths
from tests.lab.suite.looking import answered
from tests.lab.suite.looking import JSON
from tests.lab.suite.looking import Look

#: From the death of a host to its open incident: detection, and what a busy
#: machine adds before the test sees it.
NOTICED = truths.DETECTION + 15.0
#: From there to the last server verified.
RECOVERED = 150.0
#: From power-on to a host that serves again.
RETURNED = 120.0

CLOSED = frozenset({"returned", "cancelled"})
#: The states of an incident in their order.
PATH = (
    "detected", "admitted", "planned", "fencing", "fenced", "forced-down",
    "evacuating", "verifying", "done", "return-wait", "returned",
)  # fmt: skip
#: In these the servers are through.
SETTLED = frozenset({"done", "partial", "return-wait", "returned"})


@dataclasses.dataclass(frozen=True)
class Crew:
    """Servers that were booted on one host.

    :ivar disks: server id -> its disks as they were made
    """

    host: str
    disks: truths.Disks

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self.disks)


class Stage:
    """One test's hold on the lab.

    Servers can be booted while the lab still recovers from the test before;
    nothing else is done before ``ready()``.

    :param mode: what auto-failover is set to once it is ready
    """

    _numbers = itertools.count(1)
    _turn = itertools.count()

    def __init__(self, lab: Lab, look: Look, mode: str) -> None:
        self.lab = lab
        self.look = look
        self.since = truths.remember(look)
        self._mode = mode
        self._mine: set[str] = set()

    def host(self, dc: str | None = None) -> str:
        """A host that serves, another one each time, so that all of them
        get a turn."""
        mine = [
            node.name for node in self.lab.plan.hosts
            if dc is None or node.dc == dc]

        def serving() -> str | None:
            name = mine[next(Stage._turn) % len(mine)]
            seen = (answered(self.look.hosts) or {}).get(name)
            nova = (answered(self.look.computes) or {}).get(name)
            if seen is None or nova is None or seen["state"] != "up":
                return None
            found = (nova["state"], nova["status"], nova["forced_down"])
            return name if found == ("up", "enabled", False) else None

        return self.lab.wait("a host that serves", serving, 120)

    def crew(
        self, host: str, count: int, flavor: str = "lab.tiny"
    ) -> Crew:
        """Boot servers on a host."""
        placed = [
            (f"{calm.PREFIX}{next(Stage._numbers):04d}", host)
            for _ in range(count)]
        ids = servers.boot(self.lab, placed, flavor=flavor).values()
        self.adopt(ids)
        return Crew(host, truths.disks(self.look, ids))

    def adopt(self, ids: Iterable[str]) -> None:
        """Take servers for the test's own: they are no leftovers."""
        self._mine.update(ids)

    def ready(self) -> None:
        """Wait until all is calm, and take down how it is."""
        calm.finish(self.look, self._mode, self._mine)
        self.remember()

    def remember(self) -> None:
        """Take down the cloud as it is now; later changes count."""
        self.since = truths.remember(self.look)

    # -- a host's death --------------------------------------------------
    def crash(self, host: str) -> None:
        self.lab.fault("host-crash", host)

    def switch_on(self, host: str) -> None:
        """Let a host that died boot again."""
        self.lab.mend("host-crash", host)

    def incident_of(self, host: str, seconds: float = NOTICED) -> str:
        """Wait for the new incident of a host; its id."""

        def opened() -> JSON | None:
            found = answered(
                lambda: self.look.incidents(host=host, limit="1"))
            new = [
                one for one in found or ()
                if one["id"] not in self.since.incidents]
            return new[0] if new else None

        return self.lab.wait(
            f"an incident of {host}", opened, seconds)["id"]

    def until(
        self,
        incident: str,
        states: Collection[str],
        seconds: float,
        *,
        also: Callable[[JSON], Any] = bool,
        every: float = 0.25,
    ) -> JSON:
        """Wait until an incident is in one of these states; the incident.

        :param also: what else must be true of it
        """
        wanted = set(states)

        def there() -> JSON | None:
            now = answered(lambda: self.look.incident(incident))
            if now is None:
                return None
            assert now["state"] not in CLOSED - wanted, self.story(incident)
            return now if now["state"] in wanted and also(now) else None

        try:
            return self.lab.wait(
                f"incident {incident} {' or '.join(sorted(wanted))}", there,
                seconds, every)
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{self.story(incident)}") from None

    def past(self, incident: str, state: str, seconds: float) -> JSON:
        """Wait until an incident came to a state, or further."""
        further = (*PATH[PATH.index(state):], "partial")
        return self.until(incident, further, seconds, every=0.1)

    def done(self, incident: str, end: str = "done") -> JSON:
        """Wait until the servers are through, and see that it ended so."""
        now = self.until(incident, SETTLED, RECOVERED)
        ends = [
            one["detail"].get("to")
            for one in self.look.events(incident) if one["kind"] == "state"]
        assert end in ends, self.story(incident)
        return now

    def returned(self, incident: str) -> None:
        """Wait until the host serves again."""
        self.until(incident, {"returned"}, RETURNED)

    def story(self, incident: str) -> str:
        """All that an incident tells, for the text of a failure."""
        told = answered(lambda: self.look.incident(incident))
        if told is None:
            return f"incident {incident}: the API does not answer"
        lines = [
            f"incident {incident} of {told['host']} is {told['state']}, "
            f"waiting: {told['waiting']}"]
        for one in self.look.records(incident).values():
            lines.append(
                f"  server {one['id']} {one['state']} "
                f"{one['source']} -> {one['destination']} {one['reason']}")
        for one in self.look.events(incident):
            lines.append(f"  {one['at'][11:23]} {one['kind']}: {one['text']}")
        return "\n".join(lines)

    # -- what must hold --------------------------------------------------
    def check_recovered(self, incident: str, crew: Crew) -> None:
        """All servers of a crew are elsewhere, each moved once."""
        records = self.look.records(incident)
        states = {
            server: records[server]["state"] if server in records else None
            for server in crew.ids}
        assert set(states.values()) == {"verified"}, self.story(incident)
        truths.each_once(self.look, crew.ids, crew.host, crew.disks)
        truths.nowhere_twice(self.look)

    def keep_quiet(
        self,
        seconds: float,
        *,
        died: Collection[str] = (),
        more: Callable[[], list[str]] = list,
    ) -> None:
        """Look on: nothing happens to any server, no incident opens."""
        truths.keep_quiet(
            self.look, self.since, seconds, died=died, more=more)

    def keep_quiet_until(
        self, what: str, question: Callable[[], Any], seconds: float
    ) -> None:
        """Look on until something is true; nothing else happens."""

        def true() -> bool:
            found = truths.changes(self.look, self.since)
            assert not found, found
            return bool(question())

        self.lab.wait(what, true, seconds, 0.5)

    def keep_cancelled(self, incident: str, *, died: str) -> None:
        """Look on: a host whose incident was cancelled is left alone."""
        known = dataclasses.replace(
            self.since, incidents=self.since.incidents | {incident})
        truths.keep_quiet(
            self.look, known, truths.DETECTION, died=(died,))

    def holds(
        self, seconds: float, question: Callable[[], Any], what: str
    ) -> None:
        """Look on: something stays true for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert question(), f"no longer true: {what}"
            truths.nowhere_twice(self.look)
            time.sleep(0.25)
