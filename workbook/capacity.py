"""Capacity drills: a team as an interviewer describes it, and the numbers that a design begins with.

    points, bytes    10 million points a day; 60 bytes a row and 40 for its entries in indexes, in tables; 100 as sent
    rates            a second: on average, and at the peak, so many times the average
    GB               10^9 bytes; a megabit is 10^6 bits
    connections      that the database must allow: each API opens a pool of them, each worker one

A **drill** is made from a seed, with round numbers. An answer within TOLERANCE of the right one is right: what counts
is the power of ten and the factor that was forgotten. Of what is COUNTED none may be missing, and some more are as
good. A **slip** is a factor that people forget, and is named.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

TOLERANCE = 0.2
COUNTED = {"connections"}  # a limit that is one too low refuses somebody
DAY = 86_400  # s
WHAT = {  # answer -> what it is
    "average": "points a second, on average",
    "peak": "points a second, at the peak",
    "gb_a_day": "GB a day in the database, indexes included",
    "days": "days until the disk is full",
    "megabits": "megabits a second into the API, at the peak",
    "connections": "connections that the database must allow",
}


@dataclass(frozen=True)
class Slip:
    """What somebody would answer who forgot something, and what to tell them."""

    value: float
    says: str


class Drill:
    """The team of a seed."""

    def __init__(self, seed: int) -> None:
        pick = random.Random(seed).choice
        self.seed = seed
        self.points = pick((5, 10, 20, 40, 50, 100)) * 1_000_000
        self.burst = pick((5, 10, 20))
        self.row = pick((40, 50, 60))
        self.index = self.row * pick((1.0, 1.5)) // 10 * 10
        self.sent = pick((50, 100, 200))
        self.disk = pick((500, 1000, 2000, 4000))
        self.servers, self.pool, self.workers = pick((3, 4, 6)), pick((10, 20)), pick((2, 4))
        self.viewers = pick((200, 300, 500))

    @property
    def facts(self) -> dict[str, str]:
        """As the interviewer tells them."""
        return {
            "points a day": f"{self.points:,}",
            "busiest hours": f"{self.burst} times the average",
            "a point, stored": f"{self.row} bytes in its row, and {self.index:.0f} for its entries in indexes",
            "a point, sent": f"{self.sent} bytes",
            "disk of the database": f"{self.disk:,} GB, nothing is ever deleted",
            "processes": f"{self.servers} APIs with a pool of {self.pool} connections each, "
            f"{self.workers} workers with one each",
            "people": f"{self.viewers} with the dashboard open, all day",
        }

    @property
    def right(self) -> dict[str, float]:
        """The answers."""
        average = self.points / DAY
        gb = self.points * (self.row + self.index) / 1e9
        return {
            "average": average,
            "peak": average * self.burst,
            "gb_a_day": gb,
            "days": self.disk / gb,
            "megabits": average * self.burst * self.sent * 8 / 1e6,
            "connections": self.servers * self.pool + self.workers,
        }

    @property
    def slips(self) -> dict[str, list[Slip]]:
        """What is usually forgotten, by answer."""
        right = self.right
        average, peak, gb = right["average"], right["peak"], right["gb_a_day"]
        return {
            "average": [
                Slip(peak, "that is the peak: the average knows no busiest hour"),
                Slip(average * 3600, "that is for an hour: 24 of them are a day, and each has 3,600 seconds"),
                Slip(average * 60, "that is for a minute: a day has 86,400 seconds, about 10 to the 5th"),
            ],
            "peak": [
                Slip(average, "that is the average: the system must stand its busiest hours"),
                Slip(peak * self.burst, "the factor of the busiest hours is in it twice"),
            ],
            "gb_a_day": [
                Slip(gb * self.row / (self.row + self.index), "the rows alone: each index is one more copy to store"),
                Slip(gb * 8, "those are gigabits: disks are counted in bytes"),
                Slip(gb * 1000, "those are megabytes: 1 GB is 10 to the 9th"),
                Slip(gb * self.burst, "the peak lasts some hours: what a day stores follows from the day's points"),
                Slip(gb * 30, "that is for a month"),
            ],
            "days": [
                Slip(right["days"] / self.burst, "a disk fills at the average: the peak is part of it already"),
                Slip(right["days"] / 30, "those are months: the question was days"),
                Slip(right["days"] / 365, "those are years: the question was days"),
                Slip(right["days"] * (self.row + self.index) / self.row, "here the index is forgotten again"),
                Slip(gb / self.disk, "upside down: the disk, divided by what a day adds"),
            ],
            "megabits": [
                Slip(right["megabits"] / 8, "those are megabytes: a network is counted in bits, eight to a byte"),
                Slip(right["megabits"] / self.burst, "that is on average: a line that is too narrow is so at the peak"),
                Slip(average * self.sent / 1e6, "those are megabytes, and on average: two factors are missing"),
                Slip(right["megabits"] * 1000, "those are kilobits"),
            ],
            "connections": [
                Slip(self.servers * self.pool, "the APIs have that many, and each worker opens one, too"),
                Slip(self.pool + self.workers, "one API has that pool, and there are several"),
                Slip(self.servers + self.workers, "each API opens not one connection, but a pool of them"),
                Slip(right["connections"] + self.viewers, "a viewer has a connection to an API, none to the database"),
                Slip(self.viewers, "viewers talk to the API, and many of them share a few of its connections"),
            ],
        }

    def judge(self, answers: Mapping[str, object]) -> None:
        """Passes if all are near enough. Raises NotImplementedError for no answer at all, and AssertionError."""
        if all(answers.get(name) is None for name in WHAT):
            raise NotImplementedError
        for name, right in self.right.items():
            given = answers.get(name)
            if given is None:
                raise AssertionError(f"still open: {WHAT[name]}")
            if why := self._why(name, given, right):
                raise AssertionError(f"{WHAT[name]}: {why}")

    def _why(self, name: str, answer: object, right: float) -> str:
        """What to tell whoever gave this; nothing if it is right."""
        if isinstance(answer, bool) or not isinstance(answer, Real | Decimal) or not math.isfinite(answer):
            return "write a number"
        given = float(answer)
        if _near(given, right) and not (name in COUNTED and given < right):
            return ""
        for slip in self.slips[name]:
            if _near(given, slip.value, TOLERANCE / 4):
                return slip.says
        if given <= 0:
            return "more than nothing"
        factor = max(given / right, right / given)
        size = "a little" if factor < 2 else f"about {factor:.0f} times" if factor < 1e6 else "very much"
        return f"{given:,.4g} is {size} too {'many' if given > right else 'few'}: write the units beside each factor"

    @property
    def worked(self) -> str:
        """How to get there, a line for each answer."""
        return "\n".join(self._steps())

    def _steps(self) -> Iterator[str]:
        right = self.right
        yield f"average      {self.points:,} / 86,400 s = {right['average']:,.0f} a second"
        yield f"peak         {right['average']:,.0f} x {self.burst} = {right['peak']:,.0f} a second"
        yield (
            f"gb_a_day     {self.points:,} x ({self.row} + {self.index:.0f}) bytes = {right['gb_a_day']:,.2f} GB, "
            f"{30 * right['gb_a_day']:,.0f} GB a month"
        )
        yield f"days         {self.disk:,} GB / {right['gb_a_day']:,.2f} GB = {right['days']:,.0f}"
        yield f"megabits     {right['peak']:,.0f} x {self.sent} bytes x 8 / 1,000,000 = {right['megabits']:,.1f}"
        yield (
            f"connections  {self.servers} x {self.pool} + {self.workers} = {right['connections']:,.0f}; "
            f"the {self.viewers} viewers need none"
        )

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {fact}" for name, fact in self.facts.items())

    def _repr_markdown_(self) -> str:
        rows = "\n".join(f"| {name} | {fact} |" for name, fact in self.facts.items())
        return f"| team {self.seed} | |\n|---|---|\n{rows}"


def _near(given: float, right: float, tolerance: float = TOLERANCE) -> bool:
    return abs(given - right) <= tolerance * abs(right)
