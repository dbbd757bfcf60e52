"""Travel: forecasts, flights and bookings; the last state of the bookings and the closing line decide."""
