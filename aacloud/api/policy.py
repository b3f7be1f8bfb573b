# SPDX-License-Identifier: Apache-2.0
"""Whether a caller may do an operation (oslo.policy)."""

from collections.abc import Mapping

from oslo_config import cfg
from oslo_policy import policy

from aacloud.api import context
from aacloud.api import errors
from aacloud.api import policies


class Policy:
    """The policies of one configuration.

    :param conf: has the [oslo_policy] section, which names the file with
        the operator's changes; it is read again when it changes on disk
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.enforcer = policy.Enforcer(conf)
        self.enforcer.register_defaults(policies.list_rules())

    def authorize(
        self,
        caller: context.RequestContext,
        rule: str,
        project_id: str | None = None,
    ) -> None:
        """Return when ``caller`` may do what ``rule`` stands for.

        :param project_id: to which the thing belongs; the caller's own when
            it is not given
        :raises errors.Forbidden: the policy refuses it
        """
        try:
            allowed = self.enforcer.authorize(
                rule, _target(caller, project_id), caller
            )
        except policy.InvalidScope as problem:
            raise errors.Forbidden(str(problem)) from problem
        if not allowed:
            raise errors.Forbidden(
                f"policy {rule} refuses this to {caller.who} with the roles "
                f"{', '.join(sorted(caller.roles)) or '(none)'}: ask an "
                "administrator for the role, or to change the policy"
            )

    def allows(
        self,
        caller: context.RequestContext,
        rule: str,
        project_id: str | None = None,
    ) -> bool:
        """Return whether :meth:`authorize` would return."""
        try:
            self.authorize(caller, rule, project_id)
        except errors.Forbidden:
            return False
        return True


def _target(
    caller: context.RequestContext, project_id: str | None
) -> Mapping[str, str]:
    """Return what the caller is compared with.

    Without any project there is no key at all: oslo.policy would hold a
    caller without a project for a member of the project None.
    """
    project = project_id or caller.project_id
    return {"project_id": project} if project else {}


def get_enforcer() -> policy.Enforcer:
    """Return the enforcer of the configured cloud, for oslo.policy's tools.

    The tools have parsed their own command line into the global options, and
    none can be added there any more. aacloud's files are read from their
    usual places into options of their own.
    """
    conf = cfg.ConfigOpts()
    conf([], project="aacloud", prog="aacloud-api")
    return Policy(conf).enforcer
