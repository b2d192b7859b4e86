"""Starts a web application in a Baseten container: ``python3 serve.py PORT``. Written by gpuhub."""

import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent
sys.path.insert(0, str(BUNDLE / "runtime"))

from gpuhub_baseten.entry import main  # noqa: E402 - it is in the bundle

if __name__ == "__main__":
    main(BUNDLE, int(sys.argv[1]))
