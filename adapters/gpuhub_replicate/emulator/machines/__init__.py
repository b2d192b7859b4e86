"""What runs the code of workers: Cog's own server, quick processes, or functions."""

from gpuhub_replicate.emulator.machines.workshop import CogletMissing, Workshop, coglet_python

__all__ = ["CogletMissing", "Workshop", "coglet_python"]
