"""Reads logs from the API: the whole, the end, or what is added while it is read."""

import time
from collections.abc import Callable, Iterator

from tork_celery.cli.client import Client, Document
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import Unavailable

_PAGE_SIZE = 100
_POLL = Backoff(first_s=0.1, longest_s=1.0)

PartFilter = Callable[[Document], bool]


class LogReader:
    """Reads the log of a job or task. `path` leads to it: ("jobs", ID, "log"). Parts that `wanted` does not
    accept are left out."""

    def __init__(self, client: Client, *path: str, wanted: PartFilter = lambda _part: True) -> None:
        self._client = client
        self._path = path
        self._wanted = wanted
        self._seen: dict[str, int] = {}  # the number of the last part of each task

    def whole(self) -> Iterator[Document]:
        """Yield all parts that there are now, oldest first."""
        number = self._client.get(*self._path, size=_PAGE_SIZE)["totalPages"]
        for page in range(number, 0, -1):  # parts that are added meanwhile move others to the next page
            yield from self._new(self._page(page))

    def end(self, *, lines: int) -> list[Document]:
        """Return the newest parts, with that many lines or more, oldest first."""
        newest: list[Document] = []
        ends, number = 0, 1
        while ends <= lines:
            page = self._client.get(*self._path, size=_PAGE_SIZE, page=number)
            parts = [part for part in page["items"] if self._wanted(part)]
            ends += sum(part["contents"].count("\n") for part in parts)
            newest += parts
            if number >= page["totalPages"]:
                break
            number += 1
        return list(self._new(newest))

    def added(self) -> list[Document]:
        """Return the parts that were added since the last call, oldest first."""
        newest: list[Document] = []
        number = 1
        while True:
            items = self._page(number)
            unseen = [part for part in items if not self._is_seen(part)]
            newest += unseen
            if len(unseen) < _PAGE_SIZE:
                return list(self._new(newest))
            number += 1

    def follow(
        self, has_ended: Callable[[], bool], *, on_outage: Callable[[Unavailable], None]
    ) -> Iterator[Document]:
        """Yield the parts that are added until the job or task has ended and all its parts are read.

        An API that is away is asked again; `on_outage` is called once for each outage.
        """
        away, ended = False, False
        pauses_s = _POLL.delays_s()
        while not ended:
            try:
                ended = has_ended()  # before the last read: what is stored until the end is read
                parts = self.added()
            except Unavailable as error:
                if not away:
                    on_outage(error)
                away, ended = True, False
            else:
                away = False
                yield from parts
                pauses_s = _POLL.delays_s() if parts else pauses_s
            if not ended:
                time.sleep(next(pauses_s))

    def _page(self, number: int) -> list[Document]:
        items: list[Document] = self._client.get(*self._path, size=_PAGE_SIZE, page=number)["items"]
        return items

    def _new(self, newest_first: list[Document]) -> Iterator[Document]:
        """Yield the parts of a page that were not read before, oldest first."""
        for part in reversed(newest_first):
            if not self._is_seen(part):
                self._seen[part["taskId"]] = part["number"]
                if self._wanted(part):
                    yield part

    def _is_seen(self, part: Document) -> bool:
        return bool(part["number"] <= self._seen.get(part["taskId"], 0))
