"""Coding: small functions to run, write, mend and release.

Tests of the final code, run in a sandbox, the last state and the closing line decide.
"""
