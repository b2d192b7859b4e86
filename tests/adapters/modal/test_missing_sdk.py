"""Modal's SDK is an extra: where it is missing, that is what an error says."""

from __future__ import annotations

import sys

import pytest

import gpuhub
from gpuhub.errors import AdapterNotInstalled

CREDENTIALS = {"MODAL_TOKEN_ID": "ak-made-up", "MODAL_TOKEN_SECRET": "as-made-up"}
MODULE = """
import gpuhub

@gpuhub.function
def double(number: int) -> int:
    return 2 * number
"""


@pytest.mark.parametrize("ask", ["deploy", "status", "remote"])
def test_a_missing_sdk_is_named(tmp_path, monkeypatch, ask) -> None:
    """With the line that installs it; nothing is left that was never awaited."""
    (tmp_path / "without_sdk.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "modal"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "modal", None)
    import without_sdk  # type: ignore[import-not-found]

    environ = {**CREDENTIALS, "GPUHUB_STATE_DIR": str(tmp_path / "state")}
    try:
        with gpuhub.Workspace("modal", app="a", root=tmp_path, environ=environ) as workspace:
            function = without_sdk.double.in_workspace(workspace)
            asks = {
                "deploy": function.deploy,
                "status": lambda: function.endpoint().status(),
                "remote": lambda: function.remote(1),
            }
            with pytest.raises(AdapterNotInstalled, match="modal") as caught:
                asks[ask]()
    finally:
        del sys.modules["without_sdk"]
    assert "pip install 'gpuhub-sdk[modal]'" in caught.value.next_step
