"""The simulator as an environment of Gymnasium; needs the extra `rl`.

Importing this package makes `testbed/SplitDetection-v0` known to `gymnasium.make`, which can do the
import itself: `gymnasium.make("testbed.environment:testbed/SplitDetection-v0")`.
"""

from gymnasium.envs.registration import register, registry

ID = "testbed/SplitDetection-v0"

if ID not in registry:
    register(ID, entry_point="testbed.environment.environment:SplitDetection")
