# SPDX-License-Identifier: Apache-2.0
"""Whether a caller may do an operation (oslo.policy)."""

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

    def authorize(self, caller: context.RequestContext, rule: str) -> None:
        """Return when ``caller`` may do what ``rule`` stands for.

        :raises errors.Forbidden: the policy refuses it
        """
        # What aacloud guards belongs to the cloud and to no project, so
        # there is no target to compare the caller with.
        try:
            allowed = self.enforcer.authorize(rule, {}, caller)
        except policy.InvalidScope as problem:
            raise errors.Forbidden(str(problem)) from problem
        if not allowed:
            raise errors.Forbidden(
                f"policy {rule} refuses this to {caller.who} with the roles "
                f"{', '.join(sorted(caller.roles)) or '(none)'}: ask an "
                "administrator for the role, or to change the policy"
            )


def get_enforcer() -> policy.Enforcer:
    """Return the enforcer of the configured cloud, for oslo.policy's tools.

    The tools have parsed their own command line into the global options, and
    none can be added there any more. aacloud's files are read from their
    usual places into options of their own.
    """
    conf = cfg.ConfigOpts()
    conf([], project="aacloud", prog="aacloud-api")
    return Policy(conf).enforcer
