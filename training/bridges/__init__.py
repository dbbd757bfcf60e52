"""Bridges whose modules need the other package to be loaded at all."""
