"""Training of policies with Stable-Baselines3; needs the extra `rl`."""
