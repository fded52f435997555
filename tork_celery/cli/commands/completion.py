"""`tork-celery completion SHELL`."""

import click
from click.shell_completion import get_completion_class

from tork_celery.cli.main import COMPLETION_VARIABLE, cli
from tork_celery.cli.options import add_global_options

_PROGRAM = "tork-celery"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@add_global_options
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    For bash, add `eval "$(tork-celery completion bash)"` to ~/.bashrc; for zsh, the same with zsh to
    ~/.zshrc; for fish, write the script to ~/.config/fish/completions/tork-celery.fish.
    """
    complete_class = get_completion_class(shell)
    if complete_class is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(complete_class(cli, {}, _PROGRAM, COMPLETION_VARIABLE).source())
