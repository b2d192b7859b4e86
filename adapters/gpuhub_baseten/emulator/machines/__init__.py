"""What runs the code of replicas: quick processes, Truss's own server, or a function."""

from gpuhub_baseten.emulator.machines.kinds import Machine
from gpuhub_baseten.emulator.machines.truss import TrussMissing, truss_python
from gpuhub_baseten.emulator.machines.workshop import Workshop

__all__ = ["Machine", "TrussMissing", "Workshop", "truss_python"]
