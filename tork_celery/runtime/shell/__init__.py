"""Steps as processes of this machine."""

from tork_celery.runtime.shell.runtime import ShellRuntime

__all__ = ["ShellRuntime"]
