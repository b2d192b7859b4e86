"""``python -m gpuhub`` is the ``gpuhub`` command."""

from __future__ import annotations

from gpuhub.cli import main

main()
