"""Versions and rollback, through Modal's command line: its Python interface has neither.

``modal app history NAME --json`` and ``modal app rollback NAME vN`` of modal 1.6.4. The token goes
in the environment, never as an argument.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import Version
from gpuhub.errors import BadRequest, NotFound, ProviderUnavailable
from gpuhub_modal.errors import malformed
from gpuhub_modal.states import fingerprint_of

if TYPE_CHECKING:
    from gpuhub_modal.session import Session

__all__ = ["roll_back", "versions_of"]

_LONGEST_S = 120.0


def versions_of(session: Session, name: str) -> list[Version]:
    """Give an app's versions, newest first.

    Raises:
        NotFound: There is no such app.
    """
    text = _run(session, "app", "history", name, "--json")
    try:
        entries = json.loads(text)
        return [_version(entry, number == 0) for number, entry in enumerate(entries)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise malformed(f"`modal app history --json` printed {text[:80]!r}") from None


def roll_back(session: Session, name: str, version: str) -> None:
    """Make a new version of an older one.

    Raises:
        NotFound: There is no such version.
    """
    _run(session, "app", "rollback", name, version)


def _version(entry: Mapping[str, Any], current: bool) -> Version:
    made = entry.get("time_deployed")
    tag = entry.get("tag") or ""
    return Version(
        id=entry["version"],
        created_at=datetime.fromisoformat(made).timestamp() if made else None,
        current=current,
        fingerprint=fingerprint_of(tag.removeprefix("g.")) if tag.startswith("g.") else "",
        detail=f"deployed by {entry.get('deployed_by') or 'unknown'}",
    )


def _run(session: Session, *arguments: str) -> str:
    """Run Modal's command line and give what it printed."""
    command = [sys.executable, "-m", "modal", *arguments]
    if session.environment:
        command += ["--env", session.environment]
    try:
        ended = subprocess.run(  # noqa: S603 - a fixed command; the name is checked
            command,
            env=_environment(session),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProviderUnavailable(
            f"`modal {' '.join(arguments[:2])}` had not ended after {_LONGEST_S:g} s",
            provider="modal",
            accepted=None,
            next_step="look at `gpuhub versions`, and try again",
        ) from None
    if ended.returncode:
        raise _refused(arguments, f"{ended.stdout}\n{ended.stderr}")
    return ended.stdout


def _environment(session: Session) -> dict[str, str]:
    """Give this process's variables with this workspace's token and server, and no profile."""
    token_id, token_secret = session.token()
    kept = {name: value for name, value in os.environ.items() if name != "MODAL_PROFILE"}
    told = {
        "MODAL_TOKEN_ID": token_id,
        "MODAL_TOKEN_SECRET": token_secret,
        "NO_COLOR": "1",
        "COLUMNS": "1000",
    }
    if session.server_url:
        told |= {"MODAL_SERVER_URL": session.server_url, "MODAL_CONFIG_PATH": os.devnull}
    return {**kept, **told}


def _refused(arguments: tuple[str, ...], printed: str) -> Exception:
    words = " ".join(printed.replace("│", " ").split())[-400:]
    message = f"`modal {' '.join(arguments)}` failed: {words}"
    if "No App with name" in words or "not found" in words.casefold():
        return NotFound(message, provider="modal", next_step="look at `gpuhub versions`")
    return BadRequest(message, provider="modal", next_step="look at `gpuhub versions`")
