"""What was sent to a scripted host."""

from __future__ import annotations

import json
from typing import Any


def sent(route: Any) -> Any:
    """Give the JSON of the last request to a route of respx."""
    return json.loads(route.calls.last.request.content)
