"""Worlds made harder in seeded ways: other names, other schemas, failures, delays, fewer turns."""
