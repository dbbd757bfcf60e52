"""Files: a small file tree, as data, to search, read, edit, move, lock and pack.

The last tree and the closing line decide.
"""
