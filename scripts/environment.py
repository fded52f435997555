"""Make the virtual environment: python3 -m scripts.environment FOLDER. Standard library only."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from scripts import apt

OLDEST = (3, 11)


def main() -> None:
    venv = Path(sys.argv[1])
    try:
        require_python()
        require_ensurepip()
    except apt.Unavailable as missing:
        sys.exit(str(missing))
    if not works(venv):
        print(f"making {venv}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    pip: list[str | Path] = [
        venv / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    print("installing the pinned requirements and this package", flush=True)
    subprocess.run([*pip, "--requirement", "requirements.lock"], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], check=True)
    checked = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "check"], stdout=subprocess.PIPE, text=True, check=False
    )
    if checked.returncode != 0:
        sys.exit(f"{checked.stdout}requirements.lock does not fit setup.cfg: make lock")


def require_python() -> None:
    if sys.version_info < OLDEST:
        raise apt.Unavailable(
            f"Python {'.'.join(map(str, OLDEST))} or later is needed, and {sys.executable} is "
            f"{sys.version.split()[0]}: name another by make PYTHON=..."
        )


def require_ensurepip() -> None:
    """Debian keeps what `python3 -m venv` needs in a package of its own."""
    if find_spec("ensurepip") is not None:
        return
    if not apt.may_install():
        raise apt.Unavailable("python3 -m venv does not work here: install python3-venv (and pip)")
    apt.install("python3-venv")


def works(venv: Path) -> bool:
    python = venv / "bin" / "python"
    return python.exists() and subprocess.run([python, "-c", "import pip"], check=False).returncode == 0


if __name__ == "__main__":
    main()
