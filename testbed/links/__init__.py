"""What a channel delivers, and when. One file each."""

from testbed.registry import Registry

links = Registry("link")

links.register("constant", "testbed.links.constant:Constant")
links.register("replay", "testbed.links.replay:Replay")

transports = Registry("transport")

transports.register("ideal", "testbed.links.transport:Ideal")
transports.register("tcp", "testbed.links.tcp.transport:Tcp")
