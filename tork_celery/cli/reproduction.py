"""A shell script that repeats a step of a task in a container on this machine."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tork_celery.domain.errors import InvalidInput, NotFound

Document = Mapping[str, Any]

_REDACTED = "[REDACTED]"
_WORKDIR = "/tork/workdir"
_END = "END_OF_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A step to repeat. `secrets` are the environment variables whose values the API does not show."""

    task: Document
    step: Document
    secrets: tuple[str, ...]

    def script(self, *, interactive: bool = False) -> str:
        """Return the script. With `interactive`, it opens a shell in the container and does not run the step.

        The values of `secrets` must be in its environment.
        """
        return "\n".join([*self._files(), _wrapped(self._docker_run(interactive=interactive))])

    def whole_script(self) -> str:
        """Return the script with questions for the secrets before it."""
        questions = [
            f"printf '%s: ' {shlex.quote(name)} >&2; stty -echo; read -r {name}; stty echo; export {name}"
            for name in self.secrets
        ]
        return "\n".join([*questions, self.script()])

    def _files(self) -> Iterator[str]:
        """Yield commands that make the directory that the container sees as /tork."""
        yield "dir=$(mktemp -d)"
        yield 'mkdir "$dir/workdir"; : >"$dir/stdout"; : >"$dir/progress"'
        if "run" in self.step:
            yield _file('"$dir/entrypoint"', self.step["run"])
            yield 'chmod +x "$dir/entrypoint"'
        for name, contents in self.step.get("files", {}).items():
            yield _file(f'"$dir"/workdir/{shlex.quote(name)}', contents)

    def _docker_run(self, *, interactive: bool) -> list[str]:
        """Return the words of the command, quoted for a shell."""
        entrypoint, arguments = (["sh"], []) if interactive else _program(self.step)
        words = ["docker run", "--rm", "-it" if interactive else "-i", "--init", '-v "$dir:/tork"']
        words.append(f"-w {shlex.quote(self.step.get('workdir', _WORKDIR))}")
        words += ["-e TORK_OUTPUT=/tork/stdout", "-e TORK_PROGRESS=/tork/progress"]
        words += [f"-e {shlex.quote(text)}" for text in self._environment()]
        words += [*_mounts(self.task), *_limits(self.task)]
        if entrypoint:
            words.append(f"--entrypoint {shlex.quote(entrypoint[0])}")
        words.append(shlex.quote(self.step["image"]))
        return [*words, *map(shlex.quote, [*entrypoint[1:], *arguments])]

    def _environment(self) -> Iterator[str]:
        for name, value in self.step.get("env", {}).items():
            yield name if name in self.secrets else f"{name}={value}"


def reproduction(task: Document, step: str | None) -> Reproduction:
    """Return what repeats a step of a task: its main step, or the one with this name or number.

    Raises NotFound for an unknown step, InvalidInput for a task that runs no container.
    """
    if "image" not in task:
        raise InvalidInput("the task runs no container: it is a composite, or the runtime is shell")
    found = task if step is None else _step(task, step)
    secrets = tuple(name for name, value in found.get("env", {}).items() if _REDACTED in value)
    return Reproduction(task=task, step=found, secrets=secrets)


def _step(task: Document, text: str) -> Document:
    steps: list[Document] = [*task.get("pre", ()), task, *task.get("post", ())]
    for number, step in enumerate(steps):
        if text in (str(number), step.get("name")):
            return step
    names = ", ".join(f"{number} {step.get('name', '')}".strip() for number, step in enumerate(steps))
    raise NotFound(f"the task has no step {text!r}; its steps are: {names}")


def _program(step: Document) -> tuple[list[str], list[str]]:
    """Return the entry point, empty for that of the image, and the arguments."""
    arguments = list(step.get("cmd", ()))
    if "run" in step:
        return [*step.get("entrypoint", ["sh", "-c"]), "/tork/entrypoint"], arguments
    return list(step.get("entrypoint", ())), arguments


def _mounts(task: Document) -> Iterator[str]:
    for target in task.get("volumes", ()):
        yield f"-v {shlex.quote(target)}"
    for mount in task.get("mounts", ()):
        if mount["type"] == "bind":
            yield f"-v {shlex.quote(mount['source'] + ':' + mount['target'])}"
        elif mount["type"] == "tmpfs":
            yield f"--tmpfs {shlex.quote(mount['target'])}"
        else:
            yield f"-v {shlex.quote(mount['target'])}"


def _limits(task: Document) -> Iterator[str]:
    limits = task.get("limits", {})
    if "cpus" in limits:
        yield f"--cpus {shlex.quote(str(limits['cpus']))}"
    if "memory" in limits:
        yield f"--memory {shlex.quote(str(limits['memory']))}"
    if "gpus" in task:
        yield f"--gpus {shlex.quote(str(task['gpus']))}"
    for network in task.get("networks", ()):
        yield f"--network {shlex.quote(network)}"


def _file(path: str, contents: str) -> str:
    """Return a command that writes a file. It ends with a line break, which scripts do not mind."""
    end = _END
    while end in contents:
        end += "_"
    newline = "" if contents.endswith("\n") else "\n"
    return f"cat >{path} <<'{end}'\n{contents}{newline}{end}"


def _wrapped(words: list[str]) -> str:
    return " \\\n  ".join(words)
