"""The disks that containers fill, and how much of them each delivery uses."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker.engine_connection import EngineConnection
from tork_celery.runtime.docker.error_mapping import map_engine_errors
from tork_celery.runtime.docker.resource_names import CLUSTER, ResourceNames
from tork_celery.runtime.exchange import Exchange
from tork_celery.runtime.protocol import Disk

Usage = Mapping[tuple[str, int], float]

_INFO_TIMEOUT_S = 3.0
_TIMEOUT_S = 60.0  # the engine walks through all files of all containers and volumes


@dataclass(slots=True, kw_only=True)
class DiskUsage:
    """The disk of the exchange directories and, if the engine runs on this host, that of its data."""

    connection: EngineConnection
    names: ResourceNames
    exchange: Exchange
    work_dir: Path
    _engine_dir: Path | None = field(default=None, init=False)

    def disks(self) -> Sequence[Disk]:
        engine_dir = self._find_engine_dir()
        if engine_dir is None:
            return [Disk(path=self.work_dir, usage=self.exchange.used_by_delivery)]
        if _device(engine_dir) == _device(self.work_dir):
            return [Disk(path=self.work_dir, usage=self._all)]
        return [
            Disk(path=self.work_dir, usage=self.exchange.used_by_delivery),
            Disk(path=engine_dir, usage=self._in_engine),
        ]

    def _find_engine_dir(self) -> Path | None:
        """Return the directory in which the engine keeps containers and volumes; None if it is not here."""
        if self._engine_dir is None and self.connection.url.startswith("unix:"):
            try:
                directory = Path(self._get("/info", timeout_s=_INFO_TIMEOUT_S)["DockerRootDir"])
            except (EngineUnavailable, KeyError):
                return None
            if directory.is_dir():
                self._engine_dir = directory
        return self._engine_dir

    def _all(self) -> Usage:
        usage = Counter(self.exchange.used_by_delivery())
        with suppress(EngineUnavailable):
            usage.update(self._in_engine())
        return usage

    def _in_engine(self) -> Usage:
        """Return the size of the containers' own files and of the volumes. Raises EngineUnavailable."""
        usage: Counter[tuple[str, int]] = Counter()
        answer = self._get("/system/df", timeout_s=_TIMEOUT_S)
        for container in answer.get("Containers") or []:
            self._add(usage, container.get("Labels"), container.get("SizeRw"))
        for volume in answer.get("Volumes") or []:
            self._add(usage, volume.get("Labels"), (volume.get("UsageData") or {}).get("Size"))
        return usage

    def _get(self, path: str, *, timeout_s: float) -> dict[str, Any]:
        with (
            map_engine_errors("report its disk usage"),
            closing(
                self.connection.open("GET", path, params=None, headers=None, timeout_s=timeout_s)
            ) as response,
        ):
            answer: dict[str, Any] = response.json()
            return answer

    def _add(
        self, usage: Counter[tuple[str, int]], labels: Mapping[str, str] | None, size: int | None
    ) -> None:
        if labels and labels.get(CLUSTER) == self.names.cluster and size and size > 0:
            left = self.names.leftovers(labels)
            if left is not None:
                usage[left.task_id, left.delivery] += size


def _device(path: Path) -> int:
    """Return the number of the disk of a path, of which the last parts need not exist."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.stat().st_dev
