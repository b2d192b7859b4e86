"""``python -m gpuhub.worker serve --bundle B``: run a bundle as a local HTTP worker."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from gpuhub.worker.archive import unpack
from gpuhub.worker.load import load_bundle, read_manifest
from gpuhub.worker.server import MAX_BODY, WorkerServer
from gpuhub.worker.wire import WIRE

__all__ = ["main"]

_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; give the exit code (2: the bundle cannot be used)."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.ExitStack() as until_end:
        try:
            folder = _folder_of(Path(options.bundle), until_end)
            read_manifest(folder)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"gpuhub.worker: {error}\n")
            return 2
        return _serve(folder, options)


def _folder_of(bundle: Path, until_end: contextlib.ExitStack) -> Path:
    if bundle.is_dir():  # a killed worker cannot clean up: it has made nothing
        return bundle
    scratch = tempfile.TemporaryDirectory(prefix="gpuhub-bundle-")
    return unpack(bundle, Path(until_end.enter_context(scratch)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gpuhub.worker", description=__doc__)
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve")
    serve.add_argument("--bundle", required=True, help="a .tar.gz, a .zip or a folder")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one")
    serve.add_argument("--concurrency", type=int, default=1, help="calls that run at once")
    serve.add_argument("--max-body", type=int, default=MAX_BODY, help="bytes of a request body")
    serve.add_argument("--parent-pid", type=int, help="end when this process is gone")
    serve.add_argument(
        "--announce", action="store_true", help="print one JSON line with the port when ready"
    )
    return parser


def _serve(folder: Path, options: argparse.Namespace) -> int:
    stopping = threading.Event()
    loading = True

    def end(signum: int, _frame: Any) -> None:
        if loading:
            # The main thread is in the user's code, which may take minutes to load a model.
            _leave(128 + signum)
        stopping.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if options.parent_pid:
        threading.Thread(target=_watch, args=(options.parent_pid,), daemon=True).start()
    server = WorkerServer(
        options.host, options.port, concurrency=options.concurrency, max_body=options.max_body
    )
    server.start()
    # On the main thread, where user code may install signal handlers of its own.
    server.load(load_bundle(folder))
    loading = False
    if options.announce:
        _announce(server, options.host)
    stopping.wait()
    server.stop()
    return 0


def _announce(server: WorkerServer, host: str) -> None:
    facts = {"host": host, "port": server.port, "pid": os.getpid(), "wire": WIRE}
    facts["status"] = server.health()["status"]
    sys.stdout.write(json.dumps({"gpuhub_worker": facts}) + "\n")
    sys.stdout.flush()


def _watch(parent: int) -> None:
    """End this process when its parent is gone: an orphan would keep a GPU busy."""
    is_child = os.getppid() == parent
    while True:
        if is_child and os.getppid() != parent:
            _leave(_TERMINATED)
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            _leave(_TERMINATED)
        except PermissionError:
            pass
        threading.Event().wait(0.25)


def _leave(code: int) -> NoReturn:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (RuntimeError, OSError, ValueError):
        # A signal may come in the middle of a print: leaving matters more than its last line.
        pass
    finally:
        os._exit(code)


if __name__ == "__main__":
    exit_code = main()
    # Threads of calls in flight, or of the user's, must not keep an ended worker alive.
    atexit._run_exitfuncs()  # noqa: SLF001
    _leave(exit_code)
