"""Office: a calendar and an inbox.

The last state of both and the closing line decide.
"""
