"""Stand-ins for packages that stub workers are to find."""
