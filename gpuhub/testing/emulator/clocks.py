"""The clocks an emulator can run on: see :mod:`gpuhub._clock`."""

from gpuhub._clock import ScaledClock, SystemClock, VirtualClock

__all__ = ["ScaledClock", "SystemClock", "VirtualClock"]
