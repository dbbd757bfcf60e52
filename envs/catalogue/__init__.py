"""A large API catalogue behind a few tools: search it, read one API's parameters, then call it.

The final state of the records and the closing line decide.
"""
