"""Sorts support tickets: an application of several modules, with data and dependencies."""
