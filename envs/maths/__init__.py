"""Maths: word problems on ledgers, computed exactly with tools.

The closing line, by value, and what was noted decide.
"""
