"""The RPCs of the emulator by topic: apps, functions, calls, containers, objects, files, logs."""
