"""Compare the system with the bare engine: `make bench`, or `make bench ARGS="--tasks 400"`.

Runs N one-line containers by calls of the engine (create, start, wait, remove), with one thread per slot, and
then N tasks with the same container through the whole system. The two alternate for several rounds, and the
result is their ratio, because the speed of a machine varies. The same follows with containers that each fetch
one page over HTTP.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker

from bench.measuring import duration_s, machine, memory_mb
from tests.system.installation import Installation, running_installation

IMAGE = "busybox:stable"
COMMAND = ["echo", "-n", "hello"]
SLOTS = 4
SINGLE_RUNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100, help="containers a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    engine = docker.APIClient(version="auto")
    with tempfile.TemporaryDirectory() as directory:
        start = time.monotonic()
        with running_installation(Path(directory) / "data", "--queue", f"default:{SLOTS}") as system:
            ready_s = time.monotonic() - start
            idle_mb = memory_mb(system)
            measure_latency(engine, system)
            measure_throughput(engine, system, COMMAND, tasks=options.tasks, rounds=options.rounds)
            with served_page(engine) as url:
                print("the same, each fetching one page over HTTP")
                fetch = ["wget", "-q", "-O", "-", url]
                measure_throughput(engine, system, fetch, tasks=options.tasks, rounds=options.rounds)
    print(f"time to ready        {ready_s:6.2f} s")
    by_process = ", ".join(f"{name} {size_mb:.0f}" for name, size_mb in idle_mb.items())
    print(f"memory when idle     {sum(idle_mb.values()):6.0f} MB ({by_process})")
    print(f"on                   {machine()}, engine {engine.version()['Version']}")


def measure_latency(engine: docker.APIClient, system: Installation) -> None:
    """Print the median time of a single container and of a single task."""
    container_s, task_s = [], []
    for _ in range(SINGLE_RUNS):
        container_s.append(duration_s(lambda: run_container(engine, COMMAND)))
        task_s.append(duration_s(lambda: run_task(system)))
    container_ms, task_ms = 1000 * statistics.median(container_s), 1000 * statistics.median(task_s)
    print(f"one run, bare        {container_ms:6.0f} ms")
    print(f"one task alone       {task_ms:6.0f} ms, {task_ms - container_ms:+.0f} ms")


def measure_throughput(
    engine: docker.APIClient, system: Installation, command: Sequence[str], *, tasks: int, rounds: int
) -> None:
    """Print the containers and tasks per second of each round, and the median of their ratios."""
    ratios = []
    for number in range(1, rounds + 1):
        bare = tasks / duration_s(lambda: run_containers(engine, command, tasks))
        ours = tasks / duration_s(lambda: run_tasks(system, command, tasks))
        ratios.append(ours / bare)
        print(f"round {number}: bare {bare:6.2f}/s, tasks {ours:6.2f}/s, ratio {ours / bare:5.2f}")
    print(f"ratio, median        {statistics.median(ratios):6.2f}")


@contextmanager
def served_page(engine: docker.APIClient) -> Iterator[str]:
    """Serve a page to containers, and yield its address."""
    gateway = engine.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"]
    with ThreadingHTTPServer((gateway, 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{gateway}:{server.server_port}/"
        server.shutdown()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


def run_container(engine: docker.APIClient, command: Sequence[str]) -> None:
    container = engine.create_container(IMAGE, list(command))["Id"]
    engine.start(container)
    engine.wait(container)
    engine.remove_container(container)


def run_containers(engine: docker.APIClient, command: Sequence[str], count: int) -> None:
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(lambda _: run_container(engine, command), range(count)))


def run_task(system: Installation) -> None:
    task_id = submit_task(system, COMMAND)
    while not is_completed(system, task_id):
        time.sleep(0.005)


def run_tasks(system: Installation, command: Sequence[str], count: int) -> None:
    task_ids = [submit_task(system, command) for _ in range(count)]
    for task_id in reversed(task_ids):
        while not is_completed(system, task_id):
            time.sleep(0.25)


def submit_task(system: Installation, command: Sequence[str]) -> str:
    return str(system.post("/task", {"name": "bench", "image": IMAGE, "cmd": list(command)})["id"])


def is_completed(system: Installation, task_id: str) -> bool:
    return bool(system.get(f"/task/{task_id}")["state"] == "COMPLETED")


if __name__ == "__main__":
    main()
