"""What ``pytest --gpuhub-adapter PACKAGE`` collects."""

from __future__ import annotations

from gpuhub.testing.contract import AdapterContract


class TestAdapter(AdapterContract):
    """The suite, run on the adapter that the option names."""
