"""Commands as completion sees them: their options and arguments, without the imports of the commands.

`completion.json` has them, written by `python -m scripts.cli_reference` from the commands.
"""

import json
from pathlib import Path
from typing import Any

import click

FILE = Path(__file__).with_name("completion.json")


def describe(command: click.Command) -> dict[str, Any]:
    """Return what completion needs to know of a command, for the file."""
    described: dict[str, Any] = {"params": [_describe_param(param) for param in command.params]}
    if isinstance(command, click.Group):
        described["commands"] = {
            name: describe(inner) | {"help": inner.get_short_help_str()}
            for name, inner in command.commands.items()
        }
    return described


def stub(name: str) -> click.Command | None:
    """Return a command without an effect that has the options of a command; None for an unknown command."""
    described = json.loads(FILE.read_text("utf-8")).get(name)
    return None if described is None else _stub(name, described)


def _stub(name: str, described: dict[str, Any]) -> click.Command:
    params = [_param(each) for each in described["params"]]
    if "commands" not in described:
        return click.Command(name, params=params, help=described.get("help"))
    inner = {each: _stub(each, its) for each, its in described["commands"].items()}
    return click.Group(name, params=params, commands=inner, invoke_without_command=True)


def _describe_param(param: click.Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {"opts": param.opts, "nargs": param.nargs}
    if isinstance(param.type, click.Choice):
        described["choices"] = list(param.type.choices)
    elif isinstance(param.type, click.Path):
        described["path"] = True
    if isinstance(param, click.Option):
        described |= {"help": param.help, "flag": param.is_flag, "multiple": param.multiple}
    return described


def _param(described: dict[str, Any]) -> click.Parameter:
    kind: click.ParamType[Any] = click.STRING
    if "choices" in described:
        kind = click.Choice(described["choices"])
    elif "path" in described:
        kind = click.Path()
    if "flag" not in described:
        return click.Argument(described["opts"], nargs=described["nargs"], type=kind, required=False)
    if described["flag"]:
        return click.Option(described["opts"], is_flag=True, help=described["help"])
    return click.Option(described["opts"], type=kind, multiple=described["multiple"], help=described["help"])
