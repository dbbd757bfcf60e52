"""A clinic's records desk: who may hear, change or receive what, and what must stay unsaid.

The final state, the closing line and the absence of forbidden texts decide.
"""
