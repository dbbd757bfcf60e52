"""Retrieval: questions over a small archive of generated articles, answered with citations.

What was cited and the closing line decide.
"""
