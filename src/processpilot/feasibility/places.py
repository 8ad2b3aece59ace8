"""Places: where in the file a part of the plan stands."""

from __future__ import annotations

import re

import yaml

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class Places:
    """The lines and columns of one document that has been loaded before."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=_LOADER)

    def position(self, place: str) -> tuple[int, int]:
        """Return line and column, from 1, of a place such as "scenarios[0].steps[2]".

        Of what the file leaves to a default, those of the nearest part above it.
        """
        node = self._root
        for match in _PART.finditer(place):
            found = _child(node, match[1], match[2])
            if found is None:
                break
            node = found
        if node is None:
            return 1, 1
        return node.start_mark.line + 1, node.start_mark.column + 1


def _child(node: yaml.Node | None, index: str | None, key: str | None) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and index is not None and int(index) < len(node.value):
        found: yaml.Node = node.value[int(index)]
        return found
    if isinstance(node, yaml.MappingNode) and key is not None:
        return next((value for name, value in node.value if name.value == key), None)
    return None
