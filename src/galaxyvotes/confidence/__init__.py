"""How far a prediction may be from the volunteers' fraction, and whether a galaxy is like those it
was calibrated on.
"""
