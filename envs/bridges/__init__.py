"""Worlds for others' clients and trainers (MCP, OpenEnv, TRL, verifiers), and others' MCP tools in
worlds. Every package but our own is imported only when its bridge is used.
"""
