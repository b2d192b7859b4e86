"""``python -m gpuhub`` is the ``gpuhub`` command."""

from __future__ import annotations

from gpuhub.cli import main

if __name__ == "__main__":
    main()
