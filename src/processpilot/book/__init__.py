"""The plan for people: as text in a terminal, and as a book on paper for when nothing else works.

Owns order, numbering and looks. What the parts of a plan are called is left to `plan.wording`.
"""
