"""YAML in which a name stands once: the plain loader would keep the last one and say nothing."""

from __future__ import annotations

from typing import Any

import yaml


class StrictLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML is not typed
    """The safe loader, which refuses a name that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the safe loader's."""
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.MarkedYAMLError(problem=f"{name!r} is there twice", problem_mark=node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found
