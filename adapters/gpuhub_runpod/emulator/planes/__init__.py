"""The HTTP faces of the emulator: control plane, data plane, worker plane, load balancer."""
