"""How the outside reaches the agent: links in messages, alerts, signs of life, replies, pages.

One file per resource: it parses, calls, renders. What an act means and who may do it is decided
in the rooms below; nothing here holds state that the journal does not.
"""
