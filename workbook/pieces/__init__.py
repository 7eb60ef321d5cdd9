"""Pieces of the tracker: what an answer takes the place of, what its tests say then, and a tracker of such answers."""
