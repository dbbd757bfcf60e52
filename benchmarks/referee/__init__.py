"""What `bfcl_referee.py` is made of: mutants of answers, and why two judges differ."""
