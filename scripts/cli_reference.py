"""Writes docs/cli.md, the reference of the command line, and the table of its completion, from the commands.

`python -m scripts.cli_reference` writes both; tests/docs/test_cli_reference.py compares.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from tork_celery.cli import completion_stubs
from tork_celery.cli.command_table import COMMANDS, SECTIONS
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.main import cli

FILE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
_GLOBAL = ("--url", "--key", "--output", "--no-color", "--help")
_INTRODUCTION = """\
# The command line

This page is generated from the commands by `python -m scripts.cli_reference`.

Every command takes `--url URL` (or `TORK_URL`), `--key KEY` (or `TORK_KEY`), `-o table|json|jsonl|name` and
`--no-color` (or `NO_COLOR`), before or after its name. `TORK_USER` and `TORK_PASSWORD` are a name and a
password instead of a key.

Data is printed to stdout, everything else to stderr. On a terminal, tables keep to its width; elsewhere
nothing is cut off. `-o json` prints one array or object, `jsonl` one object a line, `name` one id or name a
line.

An id may be shortened to a unique prefix of 4 digits or more. `@latest` is the newest job.

## Exit codes

| code | meaning |
|---|---|
"""
_CODES = {
    ExitCode.DONE: "done",
    ExitCode.JOB_FAILED: "the job failed",
    ExitCode.USAGE: "wrong usage or settings, or an invalid file",
    ExitCode.CANCELLED: "the job was cancelled",
    ExitCode.NOT_ALLOWED: "not authenticated, or not allowed",
    ExitCode.NOT_FOUND: "not found, or in the wrong state",
    ExitCode.UNREACHABLE: "the server does not answer or is too busy; nothing was submitted",
    ExitCode.BUG: "a bug of tork-celery",
    ExitCode.TIMED_OUT: "timed out; the job goes on",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C; the job goes on",
}
_AFTER_CODES = """
A command for several jobs exits with the highest of 1, 3, 5 and 124. `run -d`, `submit`, `logs -f` and
`show -w` exit with 0 also when the job fails.
"""


def render() -> str:
    """Return the text of docs/cli.md."""
    codes = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in _CODES.items())
    sections = [_INTRODUCTION + codes + _AFTER_CODES]
    context = click.Context(cli, info_name="tork-celery")
    for title, commands in SECTIONS.items():
        sections.append(f"## {title}\n")
        for name in commands:
            command = cli.get_command(context, name)
            if command is None:
                raise LookupError(f"the table has the command {name}, which does not exist")
            sections += _command(command, click.Context(command, info_name=name, parent=context))
    return "\n".join(sections)


def render_completion() -> str:
    """Return the text of the file with the options that shells complete."""
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in COMMANDS}
    described = {name: completion_stubs.describe(command) for name, command in commands.items() if command}
    lines = [
        f"{json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in described.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"### `{context.command_path}`\n"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n"
    yield _paragraphs(command.help or "")
    options = [
        param
        for param in command.get_params(context)
        if isinstance(param, click.Option) and not set(_GLOBAL) & set(param.opts)
    ]
    rows = [record for option in options if (record := option.get_help_record(context))]
    if rows:
        yield "| option | meaning |\n|---|---|\n" + "".join(
            f"| `{_escaped(names)}` | {_escaped(text)} |\n" for names, text in rows
        )
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _command(inner, click.Context(inner, info_name=name, parent=context))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(render())
    completion_stubs.FILE.write_text(render_completion())
