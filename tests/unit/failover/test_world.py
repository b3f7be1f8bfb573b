# SPDX-License-Identifier: Apache-2.0
"""What the engine sees, and for how long it holds."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from aacloud.core import hosts
from aacloud.core import observations
from aacloud.core import topology as topologies
from aacloud.core import verdicts
from aacloud.failover import world as worlds
from aacloud.rpc import peers as rpc_peers
from tests.unit.core import builders
from tests.unit.failover import virtual_time

HOST, OTHER = "dc1-r1-h1", "dc1-r1-h2"
UP = observations.Reach.UP
DOWN = observations.Reach.DOWN


@pytest.fixture
def time():
    return virtual_time.VirtualTime()


@pytest.fixture
def world(time):
    made = worlds.World(time.monotonic(), time.clock())
    made.take_topology(builders.cloud(), ())
    return made


def seen(target, reach=UP, silent_s=0.0):
    return observations.Observation(
        observer=OTHER, target=target, network="storage",
        vantage=topologies.Vantage.OWN_RACK, reach=reach, silent_s=silent_s)


def report(time, *seen_by_it, observer=OTHER, age=0.0, boot="1", **facts):
    return observations.Report(
        observer=observer, boot_id=boot, seq=int(time.now * 10),
        interval_s=1.0, observations=seen_by_it, received=time.now - age,
        facts={name.replace("_", "."): value for name, value in facts.items()})


def ago(time, seconds):
    return time.utcnow() - datetime.timedelta(seconds=seconds)


class TestLife:
    def test_nobody_saw_it(self, world):
        assert world.last_life(HOST) is None

    def test_a_report_is_as_old_as_it_was_under_way(self, world, time):
        world.take_report(report(time, age=4.0), {})
        assert world.last_life(OTHER) == ago(time, 4.0)

    def test_an_answer_to_another_one(self, world, time):
        world.take_report(report(time, seen(HOST, silent_s=1.5), age=2.0), {})
        assert world.last_life(HOST) == ago(time, 3.5)

    def test_a_clock_that_is_off_gives_no_life_in_the_future(
        self, world, time
    ):
        world.take_report(
            report(time, seen(HOST, silent_s=-9.0), age=-9.0), {})
        assert world.last_life(HOST) == time.utcnow()
        assert world.last_life(OTHER) == time.utcnow()

    def test_it_never_goes_back(self, world, time):
        world.take_report(report(time, seen(HOST)), {})
        at = time.utcnow()
        time.go_by(5.0)
        world.take_report(report(time, seen(HOST, silent_s=20.0)), {})
        assert world.last_life(HOST) == at

    @pytest.mark.parametrize("lost", [
        seen(HOST, DOWN, 1.0), seen(HOST, observations.Reach.UNKNOWN, 1.0),
        seen(HOST, UP, None)])
    def test_what_is_no_answer(self, world, time, lost):
        world.take_report(report(time, lost), {})
        assert world.last_life(HOST) is None

    def test_a_report_of_its_nova_compute(self, world, time):
        asked = time.now
        time.go_by(8.0)  # Nova takes its time to answer.
        world.take_services({HOST: verdicts.NovaServiceView(
            "up", last_seen_age_s=2.0, advanced=True)}, asked)
        assert world.last_life(HOST) == ago(time, 10.0)

    def test_the_first_look_at_a_nova_compute_is_none(self, world, time):
        world.take_services({HOST: verdicts.NovaServiceView(
            "up", last_seen_age_s=0.0, advanced=False)}, time.now)
        assert world.last_life(HOST) is None

    def test_what_an_earlier_engine_saw(self, world, time):
        at = ago(time, 40.0)
        world.remember({HOST: hosts.HostRecord(
            HOST, "dc1", "dc1-r1", agent_seen_at=at)})
        assert world.last_life(HOST) == at

    def test_what_an_engine_saw_whose_clock_is_ahead(self, world, time):
        world.remember({HOST: hosts.HostRecord(
            HOST, "dc1", "dc1-r1", agent_seen_at=ago(time, -90.0))})
        assert world.last_life(HOST) == time.utcnow()

    def test_made_up_names_are_not_kept(self, world, time):
        world.take_report(report(time, *(
            seen(f"made-up-{number}") for number in range(1000))), {})
        assert len(world._life) == 1

    def test_who_left_is_forgotten_after_a_while(self, world, time):
        names = [f"gone-{number}" for number in range(20)]
        for name in names:
            world.take_report(report(time, observer=name), {"storage": "::1"})
        world.take_report(report(time), {"storage": "::1"})
        world.take_topology(builders.cloud(), ())
        assert world.last_life(names[0]) is not None
        time.go_by(worlds.STRANGER_TTL + 1.0)
        world.take_topology(builders.cloud(), ())
        assert {*world._life, *world._reports, *world._addresses,
                *world._boots, *world._guests} == {OTHER}


class TestGuests:
    def test_told_every_few_reports(self, world, time):
        world.take_report(report(time, guests="2", guest_a="runs",
                                 guest_b="runs"), {})
        assert world.guests(OTHER) == ("a", "b")
        time.go_by(5.0)
        world.take_report(report(time), {})
        assert world.guests(OTHER) == ("a", "b")
        world.take_report(report(time, guests="0"), {})
        assert world.guests(OTHER) == ()

    def test_nobody_knows(self, world, time):
        assert world.guests(HOST) is None

    def test_too_many_to_name_is_not_known(self, world, time):
        world.take_report(report(time, guests="2", guest_a="runs"), {})
        assert world.guests(OTHER) is None

    def test_of_an_earlier_life_says_nothing(self, world, time):
        world.take_report(report(time, guests="0"), {})
        world.take_report(report(time, boot="2"), {})
        assert world.guests(OTHER) is None

    def test_of_a_while_ago_says_nothing(self, world, time):
        """Its probe broke, or it died: who knows what runs there now."""
        world.take_report(report(time, guests="0"), {})
        time.go_by(worlds.GUESTS_TTL + 1.0)
        world.take_report(report(time), {})
        assert world.guests(OTHER) is None


class TestView:
    def ask(self, world, time, **changes):
        return world.view(time.now, **{
            "store_ok": True, "lease_ok": True, "dead_since": {},
            "known_agents": frozenset(), "nova_ttl": 20.0, **changes})

    def test_ages_of_what_nova_said_grow(self, world, time):
        world.take_services({
            HOST: verdicts.NovaServiceView("up", last_seen_age_s=2.0),
            OTHER: verdicts.NovaServiceView("up")}, time.now)
        time.go_by(7.0)
        services = self.ask(world, time).nova_services
        assert services[HOST].last_seen_age_s == 9.0
        assert services[OTHER].last_seen_age_s is None
        time.go_by(14.0)
        assert self.ask(world, time).nova_services == {}

    def test_before_nova_was_asked(self, world, time):
        assert self.ask(world, time).nova_services == {}

    def test_it_is_a_picture(self, world, time):
        world.take_report(report(time), {})
        before = self.ask(world, time)
        world.take_report(report(time, observer=HOST), {})
        assert set(before.reports) == {OTHER}


class TestRecords:
    def judgement(self, *names):
        return verdicts.Judgement(False, (), {
            name: verdicts.HostVerdict(
                name, verdicts.HostState.UP,
                {"storage": verdicts.NetworkState.UP}, 0.5, 0.5, None, False,
                ("it reports",)) for name in names}, {})

    def test_all_that_is_known(self, world, time):
        world.take_report(report(time, age=3.0), {"storage": "10.3.0.2"})
        world.take_services({OTHER: verdicts.NovaServiceView(
            "up", disabled=True, disabled_reason="fan")}, time.now)
        (record,) = world.records(
            self.judgement(OTHER), time.now, {OTHER: "a note"}).values()
        assert record == hosts.HostRecord(
            name=OTHER, dc="dc1", rack="dc1-r1", instance_disks="shared",
            addresses={"storage": "10.3.0.2"}, boot_id="1",
            agent_seen_at=ago(time, 3.0), state=verdicts.HostState.UP,
            networks={"storage": verdicts.NetworkState.UP},
            reasons=("it reports", "a note"), updated_at=time.utcnow(),
            nova={"state": "up", "forced_down": False, "disabled": True,
                  "disabled_reason": "fan"})

    def test_an_agent_that_this_engine_never_heard(self, world, time):
        at = ago(time, 99.0)
        world.remember({HOST: hosts.HostRecord(
            HOST, "dc1", "dc1-r1", boot_id="7", agent_seen_at=at,
            addresses={"storage": "10.3.0.1"})})
        (record,) = world.records(
            self.judgement(HOST), time.now, {}).values()
        assert (record.boot_id, record.agent_seen_at) == ("7", at)
        assert record.addresses == {"storage": "10.3.0.1"}

    def test_who_is_not_in_the_topology_has_none(self, world, time):
        assert world.records(self.judgement("stranger"), time.now, {}) == {}

    @pytest.mark.parametrize(("change", "told"), [
        ({"state": verdicts.HostState.DEAD}, True),
        ({"nova": {"state": "down"}}, True),
        ({"boot_id": "2"}, True),
        ({"rack": "dc1-r2"}, True),
        ({"reasons": ("other words",)}, False),
        ({"agent_seen_at": virtual_time.START}, False),
    ])
    def test_what_an_operator_would_see(self, change, told):
        old = hosts.HostRecord(HOST, "dc1", "dc1-r1")
        assert worlds.differs(old, dataclasses.replace(old, **change)) is told
        assert worlds.differs(None, old)


class TestAssignment:
    def tell_all(self, world, time, *without):
        for number, name in enumerate(builders.cloud().hosts):
            if name not in without:
                world.take_report(
                    report(time, observer=name),
                    {"storage": f"10.3.0.{number}"})

    def test_peers_with_their_addresses(self, world, time):
        self.tell_all(world, time)
        made = world.assignment(HOST, 3)
        assert HOST not in {target.host for target in made.targets}
        assert {t.addresses["storage"] for t in made.targets} <= {
            f"10.3.0.{number}" for number in range(8)}
        assert made.refresh_s == 15.0
        assert world.assignment(HOST, 3) == made

    def test_asked_again_soon_while_some_have_not_reported(
        self, world, time
    ):
        self.tell_all(world, time, OTHER)
        made = world.assignment(HOST, 3)
        assert OTHER not in {target.host for target in made.targets}
        assert made.refresh_s == 3.0

    def test_a_host_of_no_rack(self, world):
        with pytest.raises(
            rpc_peers.AssignmentUnavailable, match="topology apply"
        ):
            world.assignment("stranger", 3)

    def test_worked_out_once_for_each_topology(
        self, world, time, monkeypatch
    ):
        self.tell_all(world, time)
        made = []
        real = worlds.peers.assign_targets

        def assign_targets(*args, **kwargs):
            made.append(args)
            return real(*args, **kwargs)

        monkeypatch.setattr(worlds.peers, "assign_targets", assign_targets)
        for name in builders.cloud().hosts:
            world.assignment(name, 3)
        world.take_topology(builders.cloud(), ())
        world.assignment(HOST, 3)
        assert len(made) == 1
        world.assignment(HOST, 2)
        assert len(made) == 2
        world.take_topology(builders.cloud(hosts=3), ())
        assert "dc1-r1-h3" in world._targets(3)
        assert len(made) == 3


def test_problems_of_the_topology_are_logged_when_they_change(
    world, caplog
):
    caplog.set_level("INFO")
    for _ in range(3):
        world.take_topology(builders.cloud(), ("h9 stands in two racks",))
    assert caplog.text.count("h9 stands in two racks") == 1
    for _ in range(3):
        world.take_topology(builders.cloud(), ())
    assert caplog.text.count("nothing is wrong with it any more") == 1
