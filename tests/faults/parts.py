"""Parts of the machine, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults import flips, hostile, processes, sabotage, stops
from tests.faults.case import Case
from tests.faults.world import World

Group = Callable[[World, Path], Iterator[Case]]
"""Function that yields the cases of a group; it may use a folder of its own."""

PARTS: dict[str, dict[str, Group]] = {
    "stops": {name: partial(stops.stops, name=name) for name in stops.SCENARIOS},
    "flips": dict(flips.GROUPS),
    "full": {name: partial(stops.full, name=name) for name in stops.SCENARIOS},
    "corpus": dict(hostile.GROUPS),
    "processes": dict(processes.GROUPS),
    "sabotage": dict(sabotage.GROUPS),
}
"""Groups of cases by part and name. A further part is a line here: its groups yield a :class:`Case` for each trial."""
