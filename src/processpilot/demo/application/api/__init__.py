"""The HTTP surface: one module per resource; each parses, calls, renders, and holds no rule."""
