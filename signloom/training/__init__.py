"""Training: data, samplers, losses, schedule, checkpoints, loops."""
