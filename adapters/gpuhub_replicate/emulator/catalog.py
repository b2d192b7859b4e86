"""Hardware there is to rent: the SKUs that were seen in 2026-11."""

from __future__ import annotations

__all__ = ["HARDWARE"]

_COUNTS = (2, 4, 8)

HARDWARE: dict[str, str] = {
    "cpu": "CPU",
    "gpu-t4": "Nvidia T4 GPU",
    "gpu-l40s": "Nvidia L40S GPU",
    **{f"gpu-{count}x-l40s": f"{count}x Nvidia L40S GPU" for count in _COUNTS},
    "gpu-a100-large": "Nvidia A100 (80GB) GPU",
    **{f"gpu-a100-large-{count}x": f"{count}x Nvidia A100 (80GB) GPU" for count in _COUNTS},
    "gpu-h100": "Nvidia H100 GPU",
    **{f"gpu-h100-{count}x": f"{count}x Nvidia H100 GPU" for count in _COUNTS},
}
"""Name of each SKU."""
