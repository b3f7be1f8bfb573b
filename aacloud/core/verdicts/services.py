# SPDX-License-Identifier: Apache-2.0
"""When a nova-compute last reported, without comparing clocks.

Nova's time stamps are made by other machines. If their clocks differ from
the engine's, an age made from stamp and own clock is wrong by as much: a
living service may look silent. That a stamp changed needs no clock.
"""

from __future__ import annotations

import dataclasses

from aacloud.core.verdicts.words import NovaServiceView


def follow_service(
    read: NovaServiceView, before: NovaServiceView | None, elapsed_s: float,
) -> NovaServiceView:
    """Give a service as just read the age of its last report.

    :param read: the service as Nova shows it now, with its stamp
    :param before: what this function returned at the previous look; None at
        the first one, which counts as if it had just reported
    :param elapsed_s: monotonic seconds between the two looks
    """
    if read.stamp is None:
        return dataclasses.replace(
            read, last_seen_age_s=None, advanced=False)
    if before is None or before.last_seen_age_s is None:
        return dataclasses.replace(
            read, last_seen_age_s=0.0, advanced=before is not None)
    if read.stamp != before.stamp:
        return dataclasses.replace(read, last_seen_age_s=0.0, advanced=True)
    return dataclasses.replace(
        read, last_seen_age_s=before.last_seen_age_s + max(0.0, elapsed_s),
        advanced=before.advanced)
