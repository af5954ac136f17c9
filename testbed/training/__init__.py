"""Training: a teacher on ground truth, a slimmable student by distillation from its teacher."""
