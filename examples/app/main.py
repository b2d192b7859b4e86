"""Uses every function of the application on the configured provider, and prints what came.

``python main.py`` runs on the mock. Change ``provider`` in gpuhub.toml, or set GPUHUB_PROVIDER, and
nothing else. The output is the same wherever it runs; what a provider cannot do, it refuses first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen

import gpuhub
from triage import functions as f
from triage.models import Ticket
from triage.site import site

SENT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
TEXTS = [
    "You charged my card twice, I want a refund.",
    "The site is down again: error after error!",
    "I forgot my password and am locked out of my account.",
    "What lovely weather.",
]
TICKETS = [Ticket(id=number, text=text, sent=SENT) for number, text in enumerate(TEXTS, 1)]
EVERYTHING: tuple[Any, ...] = (
    *(f.classify, f.Summarize, f.explain, f.shorten, f.sign, f.remember, f.nightly),
    site,
)


@contextmanager
def deployed(function: Any) -> Iterator[Any]:
    """Deploy it for a while."""
    endpoint = function.deploy()
    try:
        yield endpoint
    finally:
        endpoint.delete()


def failure(call: Callable[[], object]) -> dict[str, Any]:
    """Give what an exception of the function looks like here."""
    try:
        call()
    except gpuhub.RemoteError as error:
        lines = error.remote_traceback.splitlines()
        return {
            "type": error.error_type,
            "message": error.error_message,
            "last_line": lines[-1],
            "names_the_line": any("words.py" in line and "in found" in line for line in lines),
        }
    raise AssertionError("it did not fail")


def use_classify() -> dict[str, Any]:
    """Call, spawn, map in order, and fail."""
    picture = Ticket(id=5, text="Look!", sent=SENT, screenshots=[b"\x89PNG\r\n\x00\xff"])
    with deployed(f.classify):
        single = f.classify.remote(TICKETS[0])
        pictured = f.classify.remote(picture)
        spawned = f.classify.spawn(TICKETS[1]).result(timeout=120)
        mapped = list(f.classify.map(TICKETS * 3, concurrency=4))
        failed = failure(lambda: f.classify.remote(Ticket(id=9, text="…", sent=SENT)))
    return {
        "remote": single.model_dump(),
        "same_as_here": single == f.classify(TICKETS[0]),
        "bytes": pictured.urgency,
        "spawn": spawned.model_dump(),
        "map": [[each.ticket, each.topic] for each in mapped],
        "failure": failed,
    }


def use_summarize() -> dict[str, Any]:
    """Call a class twice."""
    summarize: Any = f.Summarize
    with deployed(summarize):
        return {"first": summarize.remote(TICKETS), "second": summarize.remote(TICKETS[:1])}


def use_explain() -> dict[str, Any]:
    """Stream, and fail while streaming."""
    with deployed(f.explain):
        both = Ticket(id=6, text=" ".join(TEXTS[:2]), sent=SENT)
        lines = list(f.explain.stream(both))
        failed = failure(lambda: list(f.explain.stream(Ticket(id=9, text="", sent=SENT))))
    return {"lines": lines, "failure": failed}


def use_shorten() -> list[str]:
    """Call an async function."""
    with deployed(f.shorten):
        return list(f.shorten.map(TEXTS, concurrency=4))


def use_sign() -> str:
    """Use a secret."""
    with deployed(f.sign):
        return f.sign.remote("approved")


def use_remember() -> list[int]:
    """Use a volume."""
    with deployed(f.remember):
        return [f.remember.remote("billing") for _ in range(3)]


def use_nightly() -> str:
    """Call what otherwise runs by itself."""
    with deployed(f.nightly):
        return f.nightly.remote()


def use_site() -> dict[str, Any]:
    """Send a request to the web application."""
    with deployed(site) as endpoint:
        url = f"{endpoint.url}/topics?text=refund"
        request = Request(url, headers=endpoint.web_headers())  # noqa: S310 - the provider's
        with urlopen(request) as answer:  # noqa: S310 - the same
            found: dict[str, Any] = json.load(answer)
    return found


USES: Mapping[str, Callable[[], Any]] = {
    "classify": use_classify,
    "summarize": use_summarize,
    "explain": use_explain,
    "shorten": use_shorten,
    "sign": use_sign,
    "remember": use_remember,
    "nightly": use_nightly,
    "site": use_site,
}


def outcome(use: Callable[[], Any]) -> dict[str, Any]:
    """Give what came of one use: a result, or what the provider cannot do."""
    try:
        return {"result": use()}
    except gpuhub.UnsupportedSetting as error:
        return {"refused": list(error.fields)}
    except gpuhub.ConfigError:
        raise
    except gpuhub.GpuHubError as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Print one line of JSON for each function."""
    broken = False
    for name in sys.argv[1:] or USES:
        found = outcome(USES[name])
        broken |= "error" in found
        print(json.dumps({"function": name, **found}, sort_keys=True), flush=True)
    sys.exit(broken)


if __name__ == "__main__":
    main()
