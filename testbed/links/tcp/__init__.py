"""TCP: a round model and a packet model of the Linux kernel's."""
