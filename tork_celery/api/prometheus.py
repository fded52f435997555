"""Metrics as Prometheus reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tork_celery.services.queries import Metrics

_MEDIA_TYPES = ("text/plain", "application/openmetrics-text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A metric: its name, and how its values are read, by the value of its label; "" where it has none."""

    name: str
    help: str
    read: Callable[[Metrics], Mapping[str, float]]
    label: str | None = None


CATALOGUE = (
    Gauge(name="tork_jobs_running", help="Jobs that run.", read=lambda found: {"": found.running_jobs}),
    Gauge(
        name="tork_tasks_running",
        help="Tasks that run, by queue.",
        label="queue",
        read=lambda found: found.running_tasks,
    ),
    Gauge(
        name="tork_tasks_waiting",
        help="Tasks that wait, by queue.",
        label="queue",
        read=lambda found: found.waiting_tasks,
    ),
    Gauge(name="tork_nodes_online", help="Nodes that are up.", read=lambda found: {"": found.online_nodes}),
    Gauge(
        name="tork_nodes_cpu_percent",
        help="How busy the machines of the nodes are, on average.",
        read=lambda found: {"": found.cpu_percent},
    ),
)


def is_wanted(accepted: Iterable[str]) -> bool:
    """Whether a client takes this rather than JSON. The media types that it accepts come best first."""
    for media_type in accepted:
        name = media_type.partition(";")[0].strip()
        if name in _MEDIA_TYPES or name in ("application/json", "*/*"):
            return name in _MEDIA_TYPES
    return False


def exposition(found: Metrics, *, accept: str) -> tuple[bytes, str]:
    """The text in the format that is accepted best, and its media type."""
    registry = CollectorRegistry()
    registry.register(_Reading(found))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Reading(Collector):
    def __init__(self, found: Metrics) -> None:
        self._found = found

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for gauge in CATALOGUE:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=[gauge.label] if gauge.label else [])
            for label, value in gauge.read(self._found).items():
                family.add_metric([label] if gauge.label else [], value)
            yield family
