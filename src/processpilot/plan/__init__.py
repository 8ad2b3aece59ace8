"""The plan: processpilot.yaml as a typed document, its loading, its schema, the built-in one.

Describes and validates only; nothing here connects, starts or decides.
"""
