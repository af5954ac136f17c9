"""Pictures, video and scenes with ground truth."""
