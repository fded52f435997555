"""The shell runtime: steps as processes of this host."""

from tork_celery.runtime.shell.runtime import ShellRuntime

__all__ = ["ShellRuntime"]
