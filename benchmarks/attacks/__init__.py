"""Attacks on the sandbox: what each tries, where it can be seen, and the machinery to run them."""
