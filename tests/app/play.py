"""Plays a provider with the vendor's real workers, and with what the application needs there.

Run by the interpreter of the vendor's environment where one is needed. Prints the variables that
point gpuhub at it, as one line of JSON, and ends with its standard input.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

SECRET = "made-up-triage-key"


def runpod(emulator: Any, urls: dict[str, str]) -> None:
    """Make the secret and the network volume, as one does in the console."""
    import httpx

    emulator.secrets["TRIAGE_KEY"] = SECRET
    body = {"name": "triage-memory", "size": 10, "dataCenter": "EU-RO-1"}
    headers = {"Authorization": "Bearer made-up"}
    url = f"{urls['api_url']}/network-volumes"
    httpx.post(url, json=body, headers=headers, trust_env=False).raise_for_status()


def secret(emulator: Any, _urls: dict[str, str]) -> None:
    """Make the secret."""
    emulator.secrets["TRIAGE_KEY"] = SECRET


def modal(emulator: Any, _urls: dict[str, str]) -> None:
    """Make the secret, which is a group of variables at Modal."""
    emulator.set_secret("TRIAGE_KEY", {"TRIAGE_KEY": SECRET})


PREPARE: dict[str, Callable[[Any, dict[str, str]], None]] = {
    "baseten": secret,
    "beam": secret,
    "modal": modal,
    "runpod": runpod,
}


def main() -> None:
    """Play one provider."""
    name = sys.argv[1]
    emulator = importlib.import_module(f"gpuhub_{name}.emulator").emulator()
    urls = dict(emulator.start())
    try:
        PREPARE.get(name, lambda *_: None)(emulator, urls)
        variables = {f"GPUHUB_{name}_{key}".upper(): url for key, url in urls.items()}
        print(json.dumps(variables))
        sys.stdout.flush()
        sys.stdin.read()
        print(json.dumps({"orphans": emulator.orphans()}), flush=True)
    finally:
        emulator.stop()


if __name__ == "__main__":
    main()
