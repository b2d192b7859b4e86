"""For tests of applications and adapters: fixtures, emulators, the contract suite.

The fixtures come with the installed package, through pytest's plugin group.
"""

from gpuhub.testing.emulator.faults import Fault

__all__ = ["Fault"]
