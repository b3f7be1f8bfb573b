# SPDX-License-Identifier: Apache-2.0
"""What the resources of version 1 have in common."""

from aacloud.api import errors
from aacloud.api import services
from aacloud.api import views
from aacloud.core import topology
from aacloud.db import errors as db_errors


class Resource:
    """A resource with what it needs.

    :param provided: the database, the policies and the configuration
    """

    def __init__(self, provided: services.Services) -> None:
        self.services = provided

    def domains(self) -> views.Domains:
        """Return the topology with the modes, as they are now."""
        return views.Domains(
            self.services.hosts.list(), self.services.modes.list()
        )


def not_found(problem: db_errors.NotFound, hint: str) -> errors.NotFound:
    """Return the refusal of a request that names what does not exist.

    :param problem: of the database
    :param hint: how the caller finds out what there is
    """
    return errors.NotFound(
        f"there is no {problem.kind} {errors.echo(problem.name)}; {hint}"
    )


def level_of(word: str) -> topology.Level:
    """Return the level that a path names.

    :raises errors.BadRequest: there is no such level
    """
    try:
        return topology.Level(word)
    except ValueError:
        known = ", ".join(level.value for level in topology.Level)
        raise errors.BadRequest(
            f"there is no level {errors.echo(word)}; the levels are {known}"
        ) from None
