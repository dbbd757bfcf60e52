"""Travel: forecasts, flights and bookings.

The last state of the bookings and the closing line decide.
"""
