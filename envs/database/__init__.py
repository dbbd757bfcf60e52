"""Database: questions answered by SQL on a small SQLite database whose names vary by task."""
