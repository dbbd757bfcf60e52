"""A small web shop: look-ups, cancellations, refunds and exchanges under a written policy."""
