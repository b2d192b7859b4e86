"""What runs containers: quick processes that play beta9's runner, or the runner itself."""

from gpuhub_beam.emulator.machines.workshop import Beta9Missing, Workshop, beta9_python

__all__ = ["Beta9Missing", "Workshop", "beta9_python"]
