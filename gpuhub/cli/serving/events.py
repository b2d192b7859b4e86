"""What the development loop tells: lines for people, or one JSON object a line."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gpuhub.cli.output import Output

if TYPE_CHECKING:
    from gpuhub.cli.serving.building import Served

__all__ = ["Events"]


class Events:
    """Prints what happens; used from several threads."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def ready(self, served: Served, url: str) -> None:
        """A worker takes calls."""
        if served.kind == "web":
            shown = f"curl -s {url}/"
        else:
            path = "stream" if served.kind == "generator" else "invoke"
            data = shlex.quote(json.dumps(served.example))
            shown = f"curl -s {url}/{path} -d {data}"
        title = Text.assemble(("ready ", "bold green"), (served.name, "bold"), f" at {url}")
        self._tell({"event": "ready", "function": served.name, "url": url}, title)
        if not self._out.json:
            self._out.console.print(Text(f"  {shown}"), soft_wrap=True)

    def failed(self, served: Served, error: dict[str, Any]) -> None:
        """A worker could not load the user's code, or its setup raised."""
        said = str(error.get("traceback") or error.get("message") or error).rstrip()
        title = Text.assemble(("failed ", "bold red"), (served.name, "bold"), f"\n{said}")
        self._tell({"event": "failed", "function": served.name, "error": error}, title)

    def ended(self, served: Served, code: int) -> None:
        """A worker ended by itself."""
        title = Text(f"{served.name} ended with code {code}; it starts again at the next save")
        self._tell({"event": "ended", "function": served.name, "code": code}, title)

    def log(self, served: Served, line: str) -> None:
        """A worker printed a line."""
        shown = Text.assemble((f"{served.name} | ", "dim"), line)
        self._tell({"event": "log", "function": served.name, "line": line}, shown)

    def refused(self, code: int, *, serving: bool) -> None:
        """The code cannot be built; the builder has printed why."""
        rest = "the version before is still served" if serving else "waiting for the next save"
        self._tell({"event": "refused", "code": code, "serving": serving}, Text(rest, "yellow"))

    def note(self, text: str) -> None:
        """Something to know."""
        self._tell({"event": "note", "text": text}, Text(text, "dim"))

    def _tell(self, document: dict[str, Any], shown: Text) -> None:
        self._out.line(document, shown)
