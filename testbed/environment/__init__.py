"""The simulator as an environment of Gymnasium; needs the extra `rl`.

Importing this package makes `testbed/SplitDetection-v0` known to `gymnasium.make`, and so does
having the distribution installed. What is heavy is imported when an environment is made.
"""

from gymnasium.envs.registration import register as _register
from gymnasium.envs.registration import registry as _registry

ID = "testbed/SplitDetection-v0"


def register() -> None:
    """Make the environment known to Gymnasium, unless it is."""
    if ID not in _registry:
        _register(ID, entry_point="testbed.environment.environment:SplitDetection")


register()
