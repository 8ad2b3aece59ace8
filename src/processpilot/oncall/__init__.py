"""Who is on call: rotations by the week and by calendar, and what was handed over.

Decides nothing about incidents, and wakes nobody.
"""
