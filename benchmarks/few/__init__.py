"""A world of few tasks, on which minutes of training show."""
