"""The base that the mock and every provider's emulator share.

An emulator plays one provider, with state: deployments, workers, queue, bill. It has one face for
all of them, :class:`Emulator`, so that one test runs against each.
"""

from gpuhub.testing.emulator.faults import Fault, FaultKind, Faults
from gpuhub.testing.emulator.http import HttpEmulator
from gpuhub.testing.emulator.meter import BilledSeconds, Meter
from gpuhub.testing.emulator.protocol import Emulator
from gpuhub.testing.emulator.recording import RecordedRequest, RequestLog, masked_headers

__all__ = [
    "BilledSeconds",
    "Emulator",
    "Fault",
    "FaultKind",
    "Faults",
    "HttpEmulator",
    "Meter",
    "RecordedRequest",
    "RequestLog",
    "masked_headers",
]
