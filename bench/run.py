"""How much the system costs over the bare engine: `make bench`, or `make bench ARGS="--tasks 400"`.

In one run, on one machine: N one-line containers by bare engine calls (create, start, wait, remove, from
as many threads as there are slots), then N tasks of the same container through the whole system. The two
are run in turns, since such machines are noisy; what counts is their ratio.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import psutil

from tests.system.installation import Installation, installed

IMAGE = "busybox:stable"
COMMAND = ["echo", "-n", "hello"]
SLOTS = 4
ALONE = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100, help="containers a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    engine = docker.APIClient(version="auto")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        with installed(Path(folder) / "data", "--queue", f"default:{SLOTS}") as system:
            ready_s = time.monotonic() - begun
            idle = memory_mb(system)
            measure_alone(engine, system)
            measure_rate(engine, system, tasks=options.tasks, rounds=options.rounds)
    print(f"time to ready        {ready_s:6.2f} s")
    each = ", ".join(f"{name} {size:.0f}" for name, size in idle.items())
    print(f"memory when idle     {sum(idle.values()):6.0f} MB ({each})")
    machine = f"{psutil.cpu_count()} cores, Python {platform.python_version()}"
    print(f"on                   {machine}, engine {engine.version()['Version']}")


def measure_alone(engine: docker.APIClient, system: Installation) -> None:
    bare, ours = [], []
    for _ in range(ALONE):
        bare.append(timed(lambda: run_bare(engine)))
        ours.append(timed(lambda: run_task(system)))
    bare_ms, ours_ms = 1000 * statistics.median(bare), 1000 * statistics.median(ours)
    print(f"one run, bare        {bare_ms:6.0f} ms")
    print(f"one task alone       {ours_ms:6.0f} ms, {ours_ms - bare_ms:+.0f} ms")


def measure_rate(engine: docker.APIClient, system: Installation, *, tasks: int, rounds: int) -> None:
    ratios = []
    for number in range(1, rounds + 1):
        bare = tasks / timed(lambda: run_many_bare(engine, tasks))
        ours = tasks / timed(lambda: run_many_tasks(system, tasks))
        ratios.append(ours / bare)
        print(f"round {number}: bare {bare:6.2f}/s, tasks {ours:6.2f}/s, ratio {ours / bare:5.2f}")
    print(f"ratio, median        {statistics.median(ratios):6.2f}")


def run_bare(engine: docker.APIClient) -> None:
    container = engine.create_container(IMAGE, COMMAND)["Id"]
    engine.start(container)
    engine.wait(container)
    engine.remove_container(container)


def run_many_bare(engine: docker.APIClient, number: int) -> None:
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(lambda _: run_bare(engine), range(number)))


def run_task(system: Installation) -> None:
    task_id = system.post("/task", {"name": "bench", "image": IMAGE, "cmd": COMMAND})["id"]
    while system.get(f"/task/{task_id}")["state"] != "COMPLETED":
        time.sleep(0.005)


def run_many_tasks(system: Installation, number: int) -> None:
    task = {"name": "bench", "image": IMAGE, "cmd": COMMAND}
    last = [system.post("/task", task)["id"] for _ in range(number)]
    for task_id in reversed(last):
        while system.get(f"/task/{task_id}")["state"] != "COMPLETED":
            time.sleep(0.25)


def memory_mb(system: Installation) -> dict[str, float]:
    """The memory of each process that no other one has (USS), in MB."""
    parent = psutil.Process(system.process.pid)
    return {
        f"{process.name()}-{process.pid}": process.memory_full_info().uss / 1e6
        for process in [parent, *parent.children(recursive=True)]
    }


def timed(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
