"""A pytest plugin that writes each result to a file, for the process that reads them."""

from __future__ import annotations

import json
import os
from pathlib import Path


def pytest_runtest_logreport(report):
    """Write a failed phase, or the call that passed."""
    if report.when != "call" and not report.failed:
        return
    owner, test = report.nodeid.split("::")[-2:]
    line = {
        "class": owner,
        "parameters": test.partition("[")[2].rstrip("]"),
        "outcome": report.outcome if report.when == "call" else f"{report.when} {report.outcome}",
        "text": "" if report.passed else report.longreprtext,
    }
    with Path(os.environ["TEETH_REPORT"]).open("a") as file:
        file.write(json.dumps(line) + "\n")
