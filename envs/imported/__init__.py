"""Environments that others wrote, in our contract: each under its own namespace, with the verdict
of an audit, their code in a process of its own.
"""
