"""Create the virtual environment. Standard library only.

python3 -m scripts.environment DIRECTORY
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from scripts import apt

OLDEST_PYTHON = (3, 11)


def main() -> None:
    venv = Path(sys.argv[1])
    try:
        require_python()
        require_ensurepip()
    except apt.Unavailable as error:
        sys.exit(str(error))
    if not is_usable(venv):
        print(f"making {venv}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    install_requirements(venv)


def require_python() -> None:
    """Raise Unavailable if this version of Python is too old."""
    if sys.version_info < OLDEST_PYTHON:
        raise apt.Unavailable(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or later is required, and {sys.executable} is "
            f"{sys.version.split()[0]}: name another one with make PYTHON=..."
        )


def require_ensurepip() -> None:
    """Install ensurepip, which is a separate package on Debian. Raises Unavailable without root."""
    if find_spec("ensurepip") is not None:
        return
    if not apt.may_install():
        raise apt.Unavailable("python3 -m venv does not work here: install python3-venv (and pip)")
    apt.install("python3-venv")


def is_usable(venv: Path) -> bool:
    """Return whether the environment exists and has pip."""
    python = venv / "bin" / "python"
    return python.exists() and subprocess.run([python, "-c", "import pip"], check=False).returncode == 0


def install_requirements(venv: Path) -> None:
    """Install the pinned requirements and this package. Exits if they do not fit together."""
    python = venv / "bin" / "python"
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    print("installing the pinned requirements and this package", flush=True)
    subprocess.run([*install, "--requirement", "requirements.lock"], check=True)
    subprocess.run([*install, "--no-deps", "--no-build-isolation", "--editable", "."], check=True)
    check = subprocess.run([python, "-m", "pip", "check"], stdout=subprocess.PIPE, text=True, check=False)
    if check.returncode != 0:
        sys.exit(f"{check.stdout}requirements.lock does not fit setup.cfg: run make lock")


if __name__ == "__main__":
    main()
