"""Made-up secrets that can be found wherever they should not be."""

from __future__ import annotations

import base64
from urllib.parse import quote

__all__ = ["MARK", "planted", "traces_of"]

MARK = "pl4nted"


def planted(name: str) -> str:
    """A secret that nothing else contains, the same for the same name."""
    return f"{MARK}-{name}-Zx9_q7+w/2=-do-not-show"


def traces_of(secret: str) -> dict[str, bytes]:
    """How a secret looks in bytes that somebody forgot to mask: as it is, or encoded."""
    raw = secret.encode()
    return {
        "in the clear": raw,
        "url-quoted": quote(secret, safe="").encode(),
        "base64": base64.b64encode(raw).rstrip(b"="),
        "hexadecimal": raw.hex().encode(),
        "repr of bytes": repr(raw)[2:-1].encode(),
    }
