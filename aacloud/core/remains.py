# SPDX-License-Identifier: Apache-2.0
"""What a failed evacuation may have left behind on its destination.

Nova starts the guest on the destination and then writes its state; when that
write fails, the migration is called failed although the guest runs. Another
try elsewhere would run the server twice on the same disks.
"""

from __future__ import annotations

from aacloud.core.adoption import Manual
from aacloud.core.adoption import Wait


def left_behind(
    server: str,
    destination: str,
    runs_there: bool | None,
    waited_s: float,
    patience_s: float,
) -> Wait | Manual | None:
    """Whether something of a failed try keeps the server from the next one.

    :param runs_there: what the destination's agent said, after the failure,
        of a guest of this server; None: it has not said anything yet
    :param waited_s: seconds since the failure was seen
    :param patience_s: seconds after which an operator is asked
    :returns: None when the next try may begin
    """
    if runs_there is False:
        return None
    if runs_there:
        return Manual(
            "runs-on-destination",
            f"Nova calls the evacuation to {destination} failed, but a guest "
            f"of it runs there. Nothing more is sent. Look at nova-compute's "
            f"log on {destination}; stop that guest, or take it over: reset "
            f"the server's state and evacuate it by hand")
    if waited_s > patience_s:
        return Manual(
            "destination-silent",
            f"the evacuation to {destination} failed and its agent does not "
            f"say which guests run there, so no other try is safe. Look "
            f"whether a guest of server {server} runs on {destination}; if "
            f"not, evacuate it by hand")
    return Wait(
        f"the evacuation to {destination} failed; its agent is asked whether "
        f"a guest was left there")
