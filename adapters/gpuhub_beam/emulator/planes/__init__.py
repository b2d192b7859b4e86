"""The faces of the gateway."""
