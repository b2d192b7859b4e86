"""The pytest plugin of gpuhub: loaded in every project that has gpuhub installed.

It imports nothing heavy: what a fixture needs is imported when a test uses it.
"""

from __future__ import annotations
