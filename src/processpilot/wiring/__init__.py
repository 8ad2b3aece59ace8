"""The one room that reads settings and opens what they name."""
