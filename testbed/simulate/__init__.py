"""The discrete-event simulator; the only user of SimPy."""
