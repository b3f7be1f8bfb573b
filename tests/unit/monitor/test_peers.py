# SPDX-License-Identifier: Apache-2.0
import pathlib
import queue

import pytest

from aacloud.core.topology import Vantage
from aacloud.monitor import peers
from aacloud.monitor import state
from aacloud.rpc import schema

WAIT = 20


def assignment(*hosts: str, refresh_s: float = 15.0) -> schema.Assignment:
    return schema.Assignment(
        targets=tuple(
            schema.PeerTarget(
                host, Vantage.OTHER_DC, {"management": "10.1.1.1"}
            )
            for host in hosts
        ),
        version=f"of {','.join(hosts)}",
        refresh_s=refresh_s,
    )


class Book:
    """A peer book, what it is answered, and what it passed on."""

    def __init__(self, path: pathlib.Path) -> None:
        self.answers: list[schema.Assignment | Exception] = []
        self.used: queue.Queue[schema.Assignment] = queue.Queue()
        self.now = 100.0
        self.cache = state.StateFile(str(path), "peers", "h")
        self.book = peers.PeerBook(
            self.ask, self.used.put, self.cache, lambda: self.now
        )

    def ask(self) -> schema.Assignment:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_new_assignment_is_passed_on_once(tmp_path: pathlib.Path) -> None:
    book = Book(tmp_path)
    book.answers = [assignment("a"), assignment("a"), assignment("a", "b")]
    for _ in range(3):
        assert book.book.refresh() == 15.0
    assert book.used.get_nowait() == assignment("a")
    assert book.used.get_nowait() == assignment("a", "b")
    assert book.used.empty()
    assert book.book.health() == (True, "2 peers known, told 0 s ago")


def test_the_last_assignment_outlives_the_agent(
    tmp_path: pathlib.Path,
) -> None:
    book = Book(tmp_path)
    book.answers = [assignment("a", "b")]
    book.book.refresh()
    again = Book(tmp_path)
    again.book.load()
    assert again.used.get_nowait() == assignment("a", "b")
    well, text = again.book.health()
    assert well
    assert "no engine has told yet" in text


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"kind": "assignment", "targets": [{}]},
        {"kind": "assignment", "targets": "x", "assignment": "1"},
    ],
)
def test_a_broken_cache_is_ignored_with_a_warning(
    tmp_path: pathlib.Path,
    content: dict[str, object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    book = Book(tmp_path)
    book.cache.save(content)
    book.book.load()
    assert book.used.empty()
    assert "Ignoring the cached peers" in caplog.text
    assert not book.book.health()[0]


def test_without_an_answer_it_asks_less_and_less_often(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = Book(tmp_path)
    book.answers = [
        assignment("a"),
        *(OSError("bus is down") for _ in range(6)),
        assignment("a"),
        OSError("bus is down"),
    ]
    waits = [book.book.refresh() for _ in range(9)]
    assert waits == [15.0, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 1.0]
    assert book.used.qsize() == 1
    assert caplog.text.count("No engine told whom to probe") == 1
    assert "1 peers known" in caplog.text


def test_the_engine_says_when_to_ask_again_within_bounds(
    tmp_path: pathlib.Path,
) -> None:
    book = Book(tmp_path)
    book.answers = [
        assignment("a", refresh_s=seconds) for seconds in (0.0, 3.0, 1e9)
    ]
    waits = [book.book.refresh() for _ in range(3)]
    assert waits == [peers.REFRESH_MIN, 3.0, peers.REFRESH_MAX]


def test_the_thread_asks_and_ends(tmp_path: pathlib.Path) -> None:
    book = Book(tmp_path)
    book.answers = [assignment("a", refresh_s=300.0)]
    book.book.start()
    assert book.used.get(timeout=WAIT) == assignment("a", refresh_s=300.0)
    book.book.stop()
    assert not book.book._thread.is_alive()
