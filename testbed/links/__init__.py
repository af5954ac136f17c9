"""What a channel delivers, and when. One file each."""

from testbed.registry import Registry

links = Registry("link")

links.register("after-idle", "testbed.links.delay:AfterIdle")
links.register("codel", "testbed.links.codel:CodelQueue")
links.register("constant", "testbed.links.constant:Constant")
links.register("delay", "testbed.links.delay:DelaySeries")
links.register("gilbert-elliott", "testbed.links.gilbert_elliott:GilbertElliott")
links.register("handover", "testbed.links.handover:Handover")
links.register("jitter", "testbed.links.delay:Jitter")
links.register("loss", "testbed.links.loss:RandomLoss")
links.register("outage", "testbed.links.outage:Outage")
links.register("replay", "testbed.links.replay:Replay")
links.register("shared", "testbed.links.shared:Shared")
links.register("wifi", "testbed.links.wifi:Wifi")

transports = Registry("transport")

transports.register("datagram", "testbed.links.datagram:Datagram")
transports.register("ideal", "testbed.links.transport:Ideal")
transports.register("tcp", "testbed.links.tcp.transport:Tcp")
