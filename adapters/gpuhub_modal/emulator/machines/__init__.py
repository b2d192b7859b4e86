"""What runs the code of containers: processes with Modal's own container entry point."""

from gpuhub_modal.emulator.machines.workshop import Workshop

__all__ = ["Workshop"]
