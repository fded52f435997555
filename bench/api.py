"""Measure the API: `make bench-api`, or `make bench-api ARGS="--postgresql --rounds 5"`.

Starts a standalone installation of its own in a temporary folder and, beside it, a server of the same kind
whose application does nothing. The loads alternate between the two for several rounds; the results are the
medians and their ratios, because the speed of a machine varies. No worker serves the queue of the jobs.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.http_load import Load, Rate, get, measure, post, receive
from bench.measuring import machine, memory_mb, processes, write_json
from bench.stored_rows import insert_rate, rows_of_job
from scripts import servers
from tests.eventually import eventually
from tests.system.installation import Installation, free_port, running_installation

JOB = {
    "name": "bench",
    "tasks": [
        {"name": f"task {number}", "image": "busybox:stable", "cmd": ["echo", "hello"], "queue": "unserved"}
        for number in (1, 2, 3)
    ],
}
STORED_JOBS = 200
IDLE_S = 10.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A kind of request, sent by `clients`. `is_post` decides on its floor."""

    name: str
    clients: int
    requests: Sequence[bytes]
    is_post: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}, {self.clients} client{'s' if self.clients > 1 else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each load")
    parser.add_argument("--postgresql", action="store_true", help="store in PostgreSQL instead of SQLite")
    parser.add_argument(
        "--json", type=Path, default=Path("build/bench-api.json"), help="file for the figures"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {}
        if options.postgresql:
            environment["TORK_DATASTORE_URL"] = stack.enter_context(servers.postgresql())
        noop_port = stack.enter_context(running_noop_server())
        start = time.monotonic()
        system = stack.enter_context(
            running_installation(directory / "data", "--queue", "default:1", environment=environment)
        )
        figures: dict[str, object] = {
            "machine": machine(),
            "datastore": "PostgreSQL" if options.postgresql else "SQLite",
        }
        figures["start to ready, s"] = round(time.monotonic() - start, 2)
        figures["idle"] = idle(system)
        print_lines(figures)
        job_ids = store_jobs(system)
        figures["rates"] = measure_all(system, job_ids, noop_port, options)
        if not options.postgresql:
            floor = insert_rate(
                rows_of_job(directory / "data" / "tork.db", job_ids[0]), directory, duration_s=options.seconds
            )
            figures["the rows of a job by the bare driver, per s"] = round(floor)
            print(f"the rows of a job, inserted by the bare driver: {floor:.0f}/s")
        write_json(options.json, figures)
        print(f"written to {options.json}")


def idle(system: Installation) -> dict[str, object]:
    """Return the memory and, over a while, the CPU time of each process."""
    before = {process.pid: process.cpu_times() for process in processes(system)}
    time.sleep(IDLE_S)
    cpu_s = {
        f"{process.name()}-{process.pid}": round(
            sum(process.cpu_times()[:2]) - sum(before[process.pid][:2]), 2
        )
        for process in processes(system)
        if process.pid in before
    }
    memory = memory_mb(system)
    return {
        "memory, MB": {
            "all": round(sum(memory.values())),
            **{name: round(mb) for name, mb in memory.items()},
        },
        f"CPU in {IDLE_S:.0f} s, s": {"all": round(sum(cpu_s.values()), 2), **cpu_s},
    }


def store_jobs(system: Installation) -> list[str]:
    """Store some jobs and return their ids."""
    request = post("/jobs", json.dumps(JOB).encode())
    with socket.create_connection(("127.0.0.1", system.port), timeout=30) as connection:
        ids = []
        for _ in range(STORED_JOBS):
            connection.sendall(request)
            ids.append(str(json.loads(receive(connection))["id"]))
        return ids


def measure_all(
    system: Installation, job_ids: Sequence[str], noop_port: int, options: argparse.Namespace
) -> dict[str, object]:
    """Print and return the medians of each kind of request and of its floor."""
    rounds: dict[str, list[tuple[Rate, Rate]]] = {}
    for _ in range(options.rounds):
        for each in measurements(job_ids):
            rates = [
                measure(
                    Load(port=port, requests=each.requests, clients=each.clients, duration_s=options.seconds)
                )
                for port in (noop_port, system.port)
            ]
            rounds.setdefault(each.label, []).append((rates[0], rates[1]))
    figures: dict[str, object] = {}
    for label, pairs in rounds.items():
        floor, ours = Rate.median([pair[0] for pair in pairs]), Rate.median([pair[1] for pair in pairs])
        ratio = ours.per_s / floor.per_s
        print(f"{label:28} {ours}; no-op {floor.per_s:6.0f}/s, ratio {ratio:.2f}")
        figures[label] = {**asdict(ours), "no-op": asdict(floor), "ratio": round(ratio, 3)}
    return figures


def measurements(job_ids: Sequence[str]) -> list[Measurement]:
    submission = [post("/jobs", json.dumps(JOB).encode())]
    return [
        Measurement("POST /jobs", 1, submission),
        Measurement("POST /jobs", 8, submission),
        Measurement("GET /jobs/{id}", 4, [get(f"/jobs/{job_id}") for job_id in job_ids]),
        Measurement("GET /jobs?size=10", 4, [get("/jobs?size=10")]),
        Measurement("GET /health", 4, [get("/health")]),
    ]


@contextmanager
def running_noop_server() -> Iterator[int]:
    """Run the no-op server while the context lasts, and yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "bench.noop_server", str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: _accepts(port), within_s=30)
            yield port
        finally:
            process.terminate()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def print_lines(figures: dict[str, object]) -> None:
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
