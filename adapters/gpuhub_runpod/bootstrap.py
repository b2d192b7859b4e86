"""Starts a worker from its environment: unpack the code, install what it needs, run it.

The container runs this text with ``python3 -c``, on Python 3.9 or newer, so it uses the standard
library only. Whatever fails here is answered to every job: a worker that crashed instead would be
started again and again, and its callers would learn nothing.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import traceback
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

VOLUME = Path("/runpod-volume")
SDK = "runpod>=1.12,<2"
RETRY_S = 5.0


def say(text: str) -> None:
    """Write a line to the worker's log."""
    sys.stderr.write(f"gpuhub: {text}\n")
    sys.stderr.flush()


def listed(name: str) -> list[str]:
    """Give a variable that holds a JSON list."""
    return list(json.loads(os.environ.get(name) or "[]"))


def unpacked() -> Path:
    """Give the folder of the code: in the image already, or unpacked from the environment."""
    if os.environ.get("GPUHUB_BUNDLE"):
        return Path(os.environ["GPUHUB_BUNDLE"])
    count = int(os.environ["GPUHUB_CODE_PARTS"])
    text = "".join(os.environ[f"GPUHUB_CODE_{number}"] for number in range(count))
    packed = base64.b64decode(text)
    digest = hashlib.sha256(packed).hexdigest()
    if digest != os.environ["GPUHUB_CODE_SHA256"]:
        raise ValueError("the code in the environment is damaged: its checksum differs")
    folder = Path(tempfile.gettempdir(), f"gpuhub-{os.getuid()}-{digest[:16]}")
    if not folder.exists():
        unpack(packed, folder)
    return folder


def unpack(packed: bytes, folder: Path) -> None:
    """Unpack into a folder that appears only when it is complete."""
    fresh = Path(tempfile.mkdtemp(prefix="gpuhub-"))
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            parts = PurePosixPath(member.name).parts
            if content is None or member.name.startswith("/") or ".." in parts:
                raise ValueError(f"the code holds {member.name!r}, which is no file inside of it")
            place = fresh.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
    try:
        fresh.rename(folder)
    except OSError:  # another worker on this machine was faster
        shutil.rmtree(fresh, ignore_errors=True)


def run(*command: str) -> None:
    """Run a command; its output goes to the worker's log."""
    say(" ".join(command))
    env = {"PIP_BREAK_SYSTEM_PACKAGES": "1", "DEBIAN_FRONTEND": "noninteractive", **os.environ}
    if VOLUME.is_dir():
        env.setdefault("PIP_CACHE_DIR", str(VOLUME / ".gpuhub" / "pip"))
    subprocess.run(command, check=True, env=env)  # noqa: S603 - the user's own image settings


def pip(*packages: str) -> None:
    """Install packages; those that are there already stay."""
    options = ("--no-input", "--disable-pip-version-check", "--root-user-action=ignore")
    run(sys.executable, "-m", "pip", "install", *options, *packages)
    importlib.invalidate_caches()


def prepare(kind: str) -> None:
    """Make the machine what the function asks for."""
    mounts = () if "GPUHUB_VOLUMES" in os.environ else listed("GPUHUB_MOUNTS")  # emulator's folders
    for path in map(Path, mounts):
        if path != VOLUME and not path.is_symlink():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(VOLUME)
    if listed("GPUHUB_APT"):
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *listed("GPUHUB_APT"))
    if listed("GPUHUB_PIP"):
        pip(*listed("GPUHUB_PIP"))
    for command in listed("GPUHUB_COMMANDS"):
        run("sh", "-c", command)
    if kind != "web" and importlib.util.find_spec("runpod") is None:
        pip(SDK)


def start() -> None:
    """Run the worker; comes back only when it has ended."""
    folder = unpacked()
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    prepare(manifest["target"]["kind"])
    sys.path.insert(0, str(folder / "runtime"))
    importlib.import_module("gpuhub_runpod.entry").main(folder)


def send(url: str, body: bytes | None = None) -> Any:
    """Send one request to RunPod's worker API; give its JSON, ``None`` for an empty answer."""
    headers = {"Authorization": os.environ.get("RUNPOD_AI_API_KEY", "")}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - RunPod's own variable
    with urllib.request.urlopen(request, timeout=100) as response:  # noqa: S310 - same
        content = response.read()
    return json.loads(content) if content and body is None else None


def answer_with(error: Exception) -> None:
    """Answer every job with the error that kept the worker from starting, without an SDK."""
    text = traceback.format_exc()
    say(f"the worker could not start\n{text}")
    take = os.environ.get("RUNPOD_WEBHOOK_GET_JOB", "")
    done = os.environ.get("RUNPOD_WEBHOOK_POST_OUTPUT", "")
    if not (take and done):
        sys.exit(1)
    worker = os.environ.get("RUNPOD_POD_ID", "")
    failure = {
        "type": "gpuhub.BootstrapError",
        "message": f"the worker could not start: {error}",
        "traceback": text[-16_000:],
        "wire": 1,
    }
    body = json.dumps({"output": {"gpuhub_error": failure}}).encode()
    while True:
        try:
            job = send(take.replace("$ID", worker) + "&job_in_progress=0")
            if job:
                place = done.replace("$RUNPOD_POD_ID", worker).replace("$ID", job["id"])
                send(place + "&isStream=false", body)
        except Exception as problem:  # noqa: BLE001 - the loop is all that is left
            say(f"{type(problem).__name__}: {problem}")
            threading.Event().wait(RETRY_S)


if __name__ == "__main__":
    try:
        start()
    except Exception as problem:  # noqa: BLE001 - told to whoever calls
        answer_with(problem)
