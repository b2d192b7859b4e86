"""Each case as a test class that holds the one test; collected by ``test_teeth`` only.

Beside each stands the same class on the double that is not broken: there the test passes.
"""

from __future__ import annotations

import functools
from typing import Any

from gpuhub.testing.contract import AdapterContract
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.wrappers import WrappedAdapter, WrappedModule
from tests.contract.broken.cases import CASES
from tests.contract.doubles import Authenticated, AuthenticatedAdapter, subject


def _module_of(adapter: type, module: Any) -> Any:
    kind = Authenticated if issubclass(adapter, AuthenticatedAdapter) else WrappedModule
    wrapped = type("Module", (kind,), {"adapter_class": adapter})
    return wrapped(module)


def _suite_of(name: str, adapter: type, test: str) -> type:
    facts = {
        "adapter": subject(functools.partial(_module_of, adapter)),
        test: getattr(AdapterContract, test),
        "__module__": __name__,
    }
    return type(name, (Fixtures,), facts)


for _number, _case in enumerate(CASES):
    _whole = (
        AuthenticatedAdapter if issubclass(_case.adapter, AuthenticatedAdapter) else WrappedAdapter
    )
    for _kind, _adapter in (("Broken", _case.adapter), ("Whole", _whole)):
        _name = f"Test{_kind}{_number}"
        globals()[_name] = _suite_of(_name, _adapter, _case.test)
