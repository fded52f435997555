"""Steps and sidecars see the variables of the worker that TORK_HOST_ENV names."""

from tests.domain import samples
from tests.domain.samples import task_definition
from tests.store.stores import FlakyDatabase, store_task, task_now, text_of
from tests.worker.fakes import FakeRuntime, MakeWorker, StepCall
from tork_celery.domain.definition import Sidecar, StepDefinition
from tork_celery.runtime.protocol import StepExit
from tork_celery.worker.host_environment import HostEnvironment

SECRET = "s3cr3t of the host"
ENVIRON = {"LANG": "C", "CI_TOKEN": SECRET, "OTHER": "not named"}


def test_variables_are_read_by_name_and_seen_by_alias() -> None:
    host = HostEnvironment.of([("LANG", "LANG"), ("CI_TOKEN", "T"), ("UNSET", "UNSET")], ENVIRON)

    assert host.variables == {"LANG": "C", "T": SECRET}


def test_own_env_has_precedence() -> None:
    host = HostEnvironment.of([("LANG", "LANG"), ("OTHER", "X")], ENVIRON)

    env = host.of_step(samples.make_task(), StepDefinition(name="s", env={"LANG": "de", "OWN": "1"}))

    assert env == {"LANG": "de", "X": "not named", "OWN": "1"}


def test_traced_step_sees_the_span_of_its_task() -> None:
    task = samples.make_task(id="12345678" * 4, job_id="abcdef01" * 4)
    host = HostEnvironment.of([], ENVIRON, traced=True)

    env = host.of_step(task, StepDefinition(name="s"))

    assert env == {"TRACEPARENT": f"00-{'abcdef01' * 4}-{'12345678' * 2}-01"}


def test_value_is_secret_by_its_name_or_its_alias() -> None:
    names = [("CI_TOKEN", "T"), ("OTHER", "MY_PASSWORD"), ("LANG", "LANG")]

    assert HostEnvironment.of(names, ENVIRON).secrets == {SECRET, "not named"}


def test_steps_and_sidecars_see_the_variables(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime()
    host = HostEnvironment.of([("LANG", "LANG"), ("OTHER", "OTHER")], ENVIRON)
    definition = task_definition(
        pre=1, env={"OTHER": "own"}, sidecars=(Sidecar(name="s", image="a", env={"S": "1"}),)
    )
    task = store_task(database, definition)
    worker = make_worker(runtime, host_env=host)

    worker.run(task.ref)
    worker.run(task_now(database, task.id).ref)

    pre, main = runtime.runs
    assert pre.env["LANG"] == "C"
    assert main.env == {"LANG": "C", "OTHER": "own"}
    assert main.sidecars[0].env == {"LANG": "C", "OTHER": "not named", "S": "1"}


def test_secret_of_the_host_is_stored_nowhere(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def leak(call: StepCall) -> StepExit:
        call.started()
        call.print(f"log {SECRET}\n")
        return StepExit(code=0, output=f"result {SECRET}".encode())

    host = HostEnvironment.of([("CI_TOKEN", "CI_TOKEN")], ENVIRON)
    task = store_task(database)

    make_worker(FakeRuntime(leak), host_env=host).run(task.ref)

    assert task_now(database, task.id).result == "result [REDACTED]"
    assert text_of(database, task.id) == "log [REDACTED]\n"
