# SPDX-License-Identifier: Apache-2.0
"""What can come back from the cloud instead of an answer.

The difference that counts is what is known afterwards: a refusal is an
answer, an unknown is none, and only the former may be acted upon.
"""


class CloudError(Exception):
    """Base of all that a cloud adapter raises."""


class CloudUnknown(CloudError):
    """Nothing is known: no answer, or one that cannot be trusted.

    A time-out, a broken connection, a 5xx, malformed JSON, a cell that does
    not answer.

    :ivar sent: False when the request certainly did not reach the service
        (no connection, no token): then it may be sent again at once.
    """

    def __init__(self, text: str, *, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(text)


class CloudRefused(CloudError):
    """The service answered no (4xx): nothing was done.

    :ivar code: the HTTP status.
    :ivar message: what the service said.
    """

    def __init__(self, code: int, message: str, text: str) -> None:
        self.code = code
        self.message = message
        super().__init__(text)


class CloudNotFound(CloudError):
    """The service does not know what was asked for (404).

    :ivar answer: the body as it was parsed; None: there was none.
    """

    def __init__(self, text: str, answer: object = None) -> None:
        self.answer = answer
        super().__init__(text)
