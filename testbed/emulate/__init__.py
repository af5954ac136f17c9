"""A scenario over a real kernel network: real processes, real sockets, and a relay in between."""
