"""A learner of Stable-Baselines3 that can be stopped, kept and gone on with, exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from testbed.environment.environment import SplitDetection
from testbed.learning.config import PolicyConfig
from testbed.policies.network import Activation, Network
from testbed.scenario import Scenario
from testbed.streams import stream

Progress = Callable[[int], None]

_COUNTERS = ("num_timesteps", "_n_updates", "_n_calls", "_episode_num")
_BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class _Tell(BaseCallback):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def _on_step(self) -> bool:
        self._progress(self.num_timesteps)
        return True


class Agent:
    """A network that learns, in chapters.

    Every chapter begins with environments and random numbers that follow from the seed and from
    the steps done so far, so that a learner that was put away between two chapters and taken up
    again learns what it would have learned.

    Args:
        config: How it learns.
        scenarios: Where; each episode draws one.
        seed: Of everything random.
    """

    def __init__(self, config: PolicyConfig, scenarios: Sequence[Scenario], seed: int) -> None:
        torch.set_num_threads(1)  # the networks are small, and sums in one order are the same sums
        self._config = config
        self._seed = seed
        envs = DummyVecEnv([lambda: SplitDetection(scenarios)] * config.environments)
        inner = envs.envs[0].unwrapped
        assert isinstance(inner, SplitDetection)
        self._points = tuple(rung.point for rung in inner.ladder)
        self._model = _ppo(config, envs) if config.algorithm == "ppo" else _dqn(config, envs)

    @property
    def steps(self) -> int:
        """Decisions learned from so far."""
        return int(self._model.num_timesteps)

    def learn(self, steps: int, progress: Progress = lambda done: None) -> dict[str, float]:
        """Learn from about so many decisions more; return what the learner says of itself."""
        model = self._model
        branch = stream(self._seed, "learning", str(model.num_timesteps))
        # Stable-Baselines3 draws from the global generators; this is where they are seeded.
        model.set_random_seed(int(branch.integers(2**31)))
        model._last_obs = None  # every chapter begins with new episodes
        model.learn(steps, callback=_Tell(progress), log_interval=None, reset_num_timesteps=False)
        said = {name: float(value) for name, value in model.logger.name_to_value.items()}
        return {name.removeprefix("train/"): said[name] for name in sorted(said)}

    def network(self, about: dict[str, str]) -> Network:
        """Return the network as it is, to be used without torch."""
        policy: Any = self._model.policy
        if self._config.algorithm == "ppo":
            modules = [*policy.mlp_extractor.policy_net, policy.action_net]
        else:
            modules = list(policy.q_net.q_net)
        layers = tuple(
            (_array(module.weight).T.copy(), _array(module.bias))
            for module in modules
            if isinstance(module, torch.nn.Linear)
        )
        activation: Activation = "tanh" if self._config.algorithm == "ppo" else "relu"
        return Network(layers, activation, self._points, about)

    def predict(self, observation: np.ndarray) -> int:
        """Return what Stable-Baselines3 itself would choose, without chance."""
        return int(self._model.predict(observation, deterministic=True)[0])

    def state(self) -> dict[str, Any]:
        """Return everything that a later `restore` needs, as tensors and numbers."""
        model: Any = self._model
        counters = {name: int(getattr(model, name)) for name in _COUNTERS if hasattr(model, name)}
        state = {
            "policy": model.policy.state_dict(),
            "optimizer": model.policy.optimizer.state_dict(),
            "counters": counters,
        }
        if self._config.algorithm == "dqn":
            buffer = model.replay_buffer
            kept = buffer.buffer_size if buffer.full else buffer.pos
            state["buffer"] = {
                "pos": buffer.pos,
                "full": buffer.full,
                **{name: torch.from_numpy(getattr(buffer, name)[:kept]) for name in _BUFFER},
            }
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was returned of."""
        model: Any = self._model
        model.policy.load_state_dict(state["policy"])
        model.policy.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["counters"].items():
            setattr(model, name, value)
        if "buffer" in state:
            buffer, kept = model.replay_buffer, state["buffer"]
            buffer.pos, buffer.full = kept["pos"], kept["full"]
            for name in _BUFFER:
                getattr(buffer, name)[: len(kept[name])] = kept[name].numpy()


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)


def _ppo(config: PolicyConfig, envs: DummyVecEnv) -> BaseAlgorithm:
    ppo = config.ppo
    hidden = list(config.hidden)
    return PPO(
        "MlpPolicy",
        envs,
        learning_rate=ppo.learning_rate,
        n_steps=ppo.steps,
        batch_size=ppo.batch,
        n_epochs=ppo.epochs,
        gamma=ppo.discount,
        gae_lambda=ppo.gae,
        clip_range=ppo.clip,
        ent_coef=ppo.entropy,
        vf_coef=ppo.value,
        max_grad_norm=ppo.max_gradient,
        policy_kwargs={"net_arch": {"pi": hidden, "vf": hidden}},
        seed=0,
        device="cpu",
    )


def _dqn(config: PolicyConfig, envs: DummyVecEnv) -> BaseAlgorithm:
    dqn = config.dqn
    model = DQN(
        "MlpPolicy",
        envs,
        learning_rate=dqn.learning_rate,
        buffer_size=dqn.buffer,
        learning_starts=dqn.starts,
        batch_size=dqn.batch,
        gamma=dqn.discount,
        train_freq=max(1, dqn.every // config.environments),
        target_update_interval=dqn.target_every,
        max_grad_norm=dqn.max_gradient,
        policy_kwargs={"net_arch": list(config.hidden)},
        seed=0,
        device="cpu",
    )

    def exploration(_: float) -> float:
        # Of the whole training: what `learn` is told of is one chapter.
        done = model.num_timesteps / max(1.0, dqn.exploration * config.steps)
        return float(max(dqn.exploration_end, 1.0 + done * (dqn.exploration_end - 1.0)))

    model.exploration_schedule = exploration
    return model
