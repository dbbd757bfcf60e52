"""TRL's GRPOTrainer as the peer of our own loop; used by `grpo_vs_trl.py`."""
