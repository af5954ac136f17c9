"""Who picks the operating point of each frame. One file each."""

from testbed.registry import Registry

policies = Registry("policy")

policies.register("awstream", "testbed.policies.awstream:AwStream")
policies.register("bba", "testbed.policies.bba:Bba")
policies.register("bola", "testbed.policies.bola:Bola")
policies.register("drift-plus-penalty", "testbed.policies.drift:DriftPlusPenalty")
policies.register("festive", "testbed.policies.festive:Festive")
policies.register("fixed", "testbed.policies.fixed:Fixed")
policies.register("forecast", "testbed.policies.forecast:Forecast")
policies.register("frame-filter", "testbed.policies.frame_filter:FrameFilter")
policies.register("goodput", "testbed.policies.goodput:Goodput")
policies.register("late-drop", "testbed.policies.late_drop:LateDrop")
policies.register("lfp", "testbed.policies.lfp:Lfp")
policies.register("learned", "testbed.policies.learned:Learned")
policies.register("linucb", "testbed.policies.linucb:LinUcb")
policies.register("mpc", "testbed.policies.mpc:Mpc")
policies.register("neurosurgeon", "testbed.policies.neurosurgeon:Neurosurgeon")
policies.register("oboe", "testbed.policies.oboe:Oboe")
policies.register("planned", "testbed.policies.planned:Planned")
policies.register("random", "testbed.policies.random:Random")
policies.register("robust-mpc", "testbed.policies.robust_mpc:RobustMpc")
policies.register("spinn", "testbed.policies.spinn:Spinn")
policies.register("stochastic-mpc", "testbed.policies.stochastic_mpc:StochasticMpc")
policies.register("thompson", "testbed.policies.thompson:Thompson")
