"""The plan's JSON Schema, for editors: the file shipped beside this module is its output."""

from __future__ import annotations

import json
from pathlib import Path

from processpilot.plan.model import Plan

SCHEMA_PATH = Path(__file__).with_name("processpilot.schema.json")


def schema_text() -> str:
    """Return the schema as it is shipped."""
    schema = Plan.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "ProcessPilot plan"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
