"""Dialogue: a help desk whose customer must be asked, acts on a box at home, and may be wrong.

The last state of both sides and the closing line decide.
"""
