# SPDX-License-Identifier: Apache-2.0
"""Who calls: the oslo.context of one request."""

from collections.abc import Mapping
from typing import Any

from oslo_context import context

_FOUND = "keystone.token_info"


class RequestContext(context.RequestContext):
    """The caller and the ids of one request, as auth_token found them."""

    @property
    def who(self) -> str:
        """The caller for the audit: the name, and the id that stays."""
        if self.user_name and self.user_id:
            return f"{self.user_name} ({self.user_id})"
        return str(self.user_name or self.user_id or "an unknown user")


def from_environ(environ: Mapping[str, Any]) -> RequestContext:
    """Return the context of the request, and make it the thread's own.

    Log lines of this thread carry its ids until the next request.

    :param environ: the WSGI environment behind auth_token and RequestId
    """
    token = (environ.get(_FOUND) or {}).get("token") or {}
    return RequestContext.from_environ(
        dict(environ),
        # keystonemiddleware reports the admin project also for a token that
        # does not speak of it, as that of any project in a cloud without an
        # admin project; believe only what the token says.
        is_admin_project=token.get("is_admin_project") is True,
    )
