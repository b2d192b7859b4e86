"""uv, or else pip, installing wheels for another Python than this one."""

from __future__ import annotations

import importlib.util
import os
import platform as machine
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gpuhub.errors import SpecError

__all__ = ["find_uv", "install", "pip_command"]

_SECONDS = 1800
_TAIL_LINES = 15
_LOGIN = re.compile(r"://[^/\s@]+@")
_OLDEST_GLIBC = 17  # manylinux2014


def install(requirements: Sequence[str], folder: Path, python: str, platform: str) -> None:
    """Install wheels into a folder. Blocks.

    Args:
        requirements: As for pip; no options.
        folder: Where to; made.
        python: Such as ``"3.12"``.
        platform: In uv's terms, such as ``"x86_64-manylinux_2_28"``.

    Raises:
        SpecError: It failed, with the tail of the output; or there is no installer.
    """
    command = [*_installer(folder, python, platform), *requirements]
    try:
        done = subprocess.run(  # noqa: S603 - requirements are no options, and there is no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SpecError(
            f"installing {', '.join(requirements)} did not end within {_SECONDS} s",
            next_step="check the network and the package index",
        ) from None
    if done.returncode != 0:
        tail = _LOGIN.sub("://***@", done.stdout).strip().splitlines()[-_TAIL_LINES:]
        raise SpecError(
            "\n".join(
                [
                    f"image.pip cannot be installed from wheels for Python {python} on {platform}:",
                    *(f"  | {line}" for line in tail),
                ]
            ),
            next_step="take versions that have wheels for Linux, or an image that has them already",
        )


def find_uv() -> list[str]:
    """The command that starts uv; empty when it is not installed."""
    # `uv run` names itself there, and need not be on the path.
    program = shutil.which(os.environ.get("UV") or "uv") or shutil.which("uv")
    if program:
        return [program]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []


def _installer(folder: Path, python: str, platform: str) -> list[str]:
    uv = find_uv()
    if uv:
        return [*uv, *_uv_arguments(folder, python, platform)]
    if _has_pip() and _is_alike(python):
        return pip_command(folder, python, platform, sys.executable)
    raise SpecError(
        f"packages for Python {python} on Linux cannot be chosen here: that needs uv"
        f" (pip judges `; python_version …` by Python {sys.version_info[0]}.{sys.version_info[1]}"
        " on this machine)",
        next_step="run `python -m pip install uv`",
    )


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _is_alike(python: str) -> bool:
    """Whether pip, which reads markers by the machine it runs on, would choose right."""
    same_python = python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    return same_python and sys.platform == "linux" and machine.machine() == "x86_64"


def _uv_arguments(folder: Path, python: str, platform: str) -> list[str]:
    return [
        "pip",
        "install",
        *("--python", sys.executable),  # only to have one: the wheels are chosen by the next two
        *("--python-version", python),
        *("--python-platform", platform),
        *("--target", str(folder)),
        *("--only-binary", ":all:"),
        "--no-compile-bytecode",
        "--no-progress",
        *("--color", "never"),
        "--",
    ]


def pip_command(folder: Path, python: str, platform: str, interpreter: str) -> list[str]:
    """The command that has pip install wheels; requirements follow."""
    newest = int(platform.rpartition("_")[2])
    tags = [f"manylinux_2_{glibc}_x86_64" for glibc in range(newest, _OLDEST_GLIBC - 1, -1)]
    tags += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    abis = [f"cp{python.replace('.', '')}", "abi3", "none"]
    return [
        *(interpreter, "-m", "pip", "install"),
        *("--python-version", python, "--implementation", "cp"),
        *(option for tag in tags for option in ("--platform", tag)),
        *(option for abi in abis for option in ("--abi", abi)),
        *("--target", str(folder)),
        *("--only-binary", ":all:"),
        "--no-compile",
        "--no-input",
        *("--progress-bar", "off"),
        "--no-color",
        "--disable-pip-version-check",
        "--",
    ]
