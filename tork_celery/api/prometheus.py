"""Metrics in the text formats of Prometheus."""

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
    """A metric. `read` returns its values by the value of its label; "" is the key without a label."""

    name: str
    help: str
    read: Callable[[Metrics], Mapping[str, float]]
    label: str | None = None


CATALOGUE = (
    Gauge(name="tork_jobs_running", help="Running jobs.", read=lambda metrics: {"": metrics.running_jobs}),
    Gauge(
        name="tork_tasks_running",
        help="Running tasks, by queue.",
        label="queue",
        read=lambda metrics: metrics.running_tasks,
    ),
    Gauge(
        name="tork_tasks_waiting",
        help="Waiting tasks, by queue.",
        label="queue",
        read=lambda metrics: metrics.queued_tasks,
    ),
    Gauge(
        name="tork_nodes_online",
        help="Nodes with the status UP.",
        read=lambda metrics: {"": metrics.online_nodes},
    ),
    Gauge(
        name="tork_nodes_cpu_percent",
        help="Average CPU usage of the nodes' machines, in percent.",
        read=lambda metrics: {"": metrics.cpu_percent},
    ),
)


def is_preferred(accepted: Iterable[str]) -> bool:
    """Return whether a client prefers this format to JSON. `accepted` are media types, the best first."""
    for media_type in accepted:
        name = media_type.partition(";")[0].strip()
        if name in _MEDIA_TYPES or name in ("application/json", "*/*"):
            return name in _MEDIA_TYPES
    return False


def exposition(metrics: Metrics, *, accept: str) -> tuple[bytes, str]:
    """Return the text in the format that the header Accept prefers, and its media type."""
    registry = CollectorRegistry()
    registry.register(_MetricsCollector(metrics))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _MetricsCollector(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for gauge in CATALOGUE:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=[gauge.label] if gauge.label else [])
            for label, value in gauge.read(self._metrics).items():
                family.add_metric([label] if gauge.label else [], value)
            yield family
