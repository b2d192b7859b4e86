"""The container: environment, start command, and how the code gets into it. Pure.

``image``, ``args`` (one string) and ``env`` of the REST v2 document, read 2026-11-20. That RunPod's
host splits ``args`` as a shell would, and what the operating system allows in an environment, was
measured with real workers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle

__all__ = [
    "BOOT_ARGS",
    "BUNDLE_FOLDER",
    "ENV_STRING_LIMIT",
    "ENV_TOTAL_LIMIT",
    "PACKAGES_FOLDER",
    "boot_script",
    "check_size",
    "check_user_env",
    "code_env",
    "image_tag",
    "runnable",
    "secret_reference",
]

BOOT_ARGS = "sh -c 'exec python3 -u -c \"$GPUHUB_BOOT\"'"
"""What the container starts. No single quote may be inside; the script is in the environment."""
BUNDLE_FOLDER = "opt/gpuhub/bundle"
"""Where a pushed image has the code, below the root."""
PACKAGES_FOLDER = "opt/gpuhub/packages"
"""Where a pushed image has the packages, below the root."""
ENV_STRING_LIMIT = 131_071
"""Bytes of one ``NAME=value``: Linux allows 32 pages for a string with its end."""
ENV_TOTAL_LIMIT = 2_097_152 - 65_536
"""Bytes of environment and arguments: a quarter of the usual 8 MiB stack, less what RunPod adds."""

_POINTER = 8
_PIECE = 120_000
_RESERVED = (
    *("GPUHUB_BOOT", "GPUHUB_CODE_PARTS", "GPUHUB_CODE_SHA256", "GPUHUB_BUNDLE", "GPUHUB_TARGET"),
    *(
        "GPUHUB_FINGERPRINT",
        "GPUHUB_LIMITS",
        "GPUHUB_ATTEMPT",
        "GPUHUB_CONCURRENCY",
        "GPUHUB_PREFETCH",
    ),
    *("GPUHUB_PIP", "GPUHUB_APT", "GPUHUB_COMMANDS", "GPUHUB_MOUNTS", "GPUHUB_TTL_MS"),
)
_OF_THE_WEB = ("PORT", "PORT_HEALTH", "HEALTH_CHECK_PATH")
_HERE = Path(__file__).parent


def boot_script() -> str:
    """Give the script that starts a worker from its environment."""
    return (_HERE / "bootstrap.py").read_text("utf-8")


def image_tag(repository: str, deployment: str, packed: bytes) -> str:
    """Give the name that code is pushed under: each version has its own, so that none is lost."""
    digest = hashlib.sha256(packed).hexdigest()[:16]
    return f"{repository}:{deployment[:100]}-{digest}"


def runnable(bundle: Bundle) -> Bundle:
    """Give the bundle with RunPod's worker entry in it."""
    entry = (_HERE / "entry.py").read_bytes()
    added = {"runtime/gpuhub_runpod/__init__.py": b"", "runtime/gpuhub_runpod/entry.py": entry}
    return replace(bundle, files=dict(sorted({**bundle.files, **added}.items())))


def code_env(packed: bytes) -> dict[str, str]:
    """Give the variables that carry packed code: pieces of base64, their number, a checksum."""
    text = base64.b64encode(packed).decode("ascii")
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    return {
        "GPUHUB_CODE_SHA256": hashlib.sha256(packed).hexdigest(),
        "GPUHUB_CODE_PARTS": str(len(pieces)),
        **{f"GPUHUB_CODE_{number}": piece for number, piece in enumerate(pieces)},
    }


def secret_reference(name: str) -> str:
    """Give the text that RunPod replaces by a secret; see "Secrets" in its documentation."""
    return f"{{{{ RUNPOD_SECRET_{name} }}}}"


def check_user_env(names: Iterator[str] | tuple[str, ...], *, is_web: bool) -> None:
    """Refuse variables that are RunPod's or gpuhub's own.

    Raises:
        SpecError: Names the first.
    """
    for name in names:
        own = name in _RESERVED or name.startswith("GPUHUB_CODE_")
        if name.startswith("RUNPOD_"):
            owner = "RunPod sets variables that begin with RUNPOD_"
        elif own or (is_web and name in _OF_THE_WEB):
            owner = "gpuhub's worker is told with it what to run"
        else:
            continue
        raise SpecError(
            f"env, secrets: the variable {name} cannot be set: {owner}",
            next_step="choose another name",
            provider="runpod",
        )


def check_size(env: Mapping[str, str], args: str) -> None:
    """Refuse an environment that no process could be started with.

    Raises:
        SpecError: Names the variable, its size and the limit; or the total.
    """
    sizes = {name: len(f"{name}={value}".encode()) for name, value in env.items()}
    for name, size in sizes.items():
        if size > ENV_STRING_LIMIT:
            raise SpecError(
                f"env: {name} has {size:,} bytes with its name; a container takes at most"
                f" {ENV_STRING_LIMIT:,} for one variable",
                next_step="put large values into a file of the project, or into a volume",
                provider="runpod",
            )
    total = sum(sizes.values()) + (_POINTER + 1) * len(sizes) + len(args.encode())
    if total > ENV_TOTAL_LIMIT:
        raise SpecError(
            f"env: all variables have {total:,} bytes, code included; a container takes at most"
            f" {ENV_TOTAL_LIMIT:,}",
            next_step="set `registry` in [providers.runpod], so that the code travels in an image",
            provider="runpod",
        )
