"""Deploys, or calls, in a process that the test kills: ``killed.py SETTINGS deploy|call``."""

from __future__ import annotations

import importlib
import json
import sys

import gpuhub

given = json.loads(sys.argv[1])
sys.path.insert(0, given["root"])
functions = importlib.import_module(given["module"])
workspace = gpuhub.Workspace(
    given["provider"],
    app=given["app"],
    root=given["root"],
    provider_options=given["options"],
    environ=given["environ"],
)
function = gpuhub.function(**given["settings"])(functions.wait_for).in_workspace(workspace)
print("ready", flush=True)
if sys.argv[2] == "deploy":
    function.deploy()
else:
    function.remote(given["gate"], given["log"], 60)
