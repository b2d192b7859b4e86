"""The mock provider: runs functions on this machine, as a provider would run them elsewhere.

For tests, examples and trying gpuhub out. It is also the smallest complete adapter: copy it to
write one for another provider, see ``adapters/README.md``.
"""

from __future__ import annotations

from gpuhub_mock.adapter import MockAdapter
from gpuhub_mock.info import INFO, create
from gpuhub_mock.testing import contract_emulator

__all__ = ["INFO", "MockAdapter", "contract_emulator", "create"]
