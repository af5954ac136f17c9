"""Who picks the operating point of each frame. One file each."""

from testbed.registry import Registry

policies = Registry("policy")

policies.register("fixed", "testbed.policies.fixed:Fixed")
policies.register("goodput", "testbed.policies.goodput:Goodput")
policies.register("random", "testbed.policies.random:Random")
