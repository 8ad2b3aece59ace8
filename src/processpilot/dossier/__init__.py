"""What is handed over afterwards: signed evidence of a run or drill, and the review of an incident.

Put together from the journal's events alone; every entry names the event that it comes from.
"""
