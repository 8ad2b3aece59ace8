"""The demonstration: a small real application, and a disaster staged around it."""
