"""The discrete-event simulator; the only user of SimPy."""

from testbed.simulate.run import simulate

__all__ = ["simulate"]
