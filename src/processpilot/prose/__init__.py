"""A written runbook becomes a plan: reading, understanding, writing; nothing it says is run.

`source` reads the file, `outline` its structure, the readers what each section means, `rebuild`
and `inference` complete the steps, `assemble` puts the plan together and `report` tells, line by
line, what became of the document.
"""
