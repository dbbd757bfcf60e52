"""A sandbox for model-written code: a fork server, confined children, and shells in namespaces.

`pool.Sandbox` is what tools use; docs/sandbox.md says what it promises.
"""
