"""Bring the loopback interface up, then become the command given as arguments.

Run in a fresh network namespace, where loopback exists but is down, and nothing else exists.
"""

import fcntl
import os
import socket
import struct
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
REQUEST = "16sh22x"  # struct ifreq: the interface's name, its flags, the rest of the union

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
    answer = fcntl.ioctl(handle, SIOCGIFFLAGS, struct.pack(REQUEST, b"lo", 0))
    name, flags = struct.unpack(REQUEST, answer)
    fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack(REQUEST, name, flags | IFF_UP))
others = [interface for _, interface in socket.if_nameindex() if interface != "lo"]
if others:
    sys.exit(f"not isolated: there is also {', '.join(others)}")
os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the point of this file
