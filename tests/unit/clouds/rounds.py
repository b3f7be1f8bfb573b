# SPDX-License-Identifier: Apache-2.0
"""Letting a mover go its rounds in virtual time."""

from aacloud.clouds import evacuation
from aacloud.clouds import mover as movers
from aacloud.clouds import pace as paces
from aacloud.core import adoption
from aacloud.core import concurrency
from tests.unit.clouds import ledger as ledgers
from tests.unit.clouds.little_nova import Inline
from tests.unit.clouds.little_nova import LittleNova

GRACE = adoption.AdoptionPolicy(request_grace_s=20.0)


def build(nova, ledger, **options):
    """Make a mover over a little Nova."""
    limits = options.pop("limits", concurrency.Concurrency())
    microversion = options.pop("microversion", "2.94")
    return movers.Mover(
        evacuation.Evacuation(
            nova, GRACE, microversion,
            runs_on=options.pop(
                "runs_on", lambda host, server, since: False
            ),
            fenced=options.pop("fenced", frozenset),
        ),
        ledger,
        options.pop("pace", None) or paces.Pace(limits, nova.clock),
        may_act=options.pop("may_act", lambda: True),
        clock=nova.clock,
        utcnow=nova.utcnow,
        pool=Inline(),
        **options,
    )


def run(mover, nova, ledger, seconds=900.0, until=None, send=True):
    """Let it go its rounds, half a second of virtual time each."""
    end = nova.now + seconds
    while nova.now < end:
        outcome = mover.round(ledger.records(), send=send)
        if until(outcome) if until else outcome.settled:
            return outcome
        nova.pass_time(0.5)
    if until is None:
        raise AssertionError((ledger.states(), ledger.story[-10:]))
    return outcome


def some(count, destinations=("h2", "h3"), **values):
    """Plan so many servers, to these destinations in turn."""
    return ledgers.Ledger(
        ledgers.record(
            f"s{n}",
            destinations[n % len(destinations)],
            spares=tuple(reversed(destinations)),
            **values,
        )
        for n in range(count)
    )


def one(answers=(), **values):
    """One server, to be moved from h1 to h2, with h3 to spare."""
    nova = LittleNova(["s0"])
    nova.answers = list(answers)
    ledger = ledgers.Ledger(
        [ledgers.record("s0", "h2", **{"spares": ("h3",), **values})]
    )
    return nova, ledger
