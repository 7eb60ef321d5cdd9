"""What a key says of whoever has it: an owner, to whom all belongs that is made with it, and a scope.

read    sees what is its owner's
write   also changes it, and logs
admin   sees and changes what is anybody's, and gives out keys
"""

from __future__ import annotations

from enum import StrEnum

from .values import check_name


class Scope(StrEnum):
    """What a key may do; each may also do what those before it may."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        """Whether this is enough for what needs that."""
        scopes = list(Scope)
        return scopes.index(self) >= scopes.index(needed)


def check_owner(owner: str) -> str:
    """The owner itself; empty: nobody in particular. Raises ValueError."""
    return owner and check_name(owner, "name of an owner")
