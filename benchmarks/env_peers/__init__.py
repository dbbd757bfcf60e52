"""What `env_overhead.py` compares: one two-tool task, built for us and for each peer."""
