"""Home: sensors, devices and a robot in a guest house.

The last state of the house and the closing line decide.
"""
