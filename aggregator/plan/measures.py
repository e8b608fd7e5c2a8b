"""Which columns of a host are another measure than they were: read or judged otherwise.

Apart from the planner, which ends their epochs, and from the fleet's table, where only names
decide what is the same: a metric that keeps its name may still be another number.
"""

from collections.abc import Mapping

from ..state.fleet import Fleet
from ..state.move import Move
from .joint import joint_column

Columns = list[tuple[int, str]]  # of the fleet, and in words what each is; "" says a metric's own


def remeasured(move: Move) -> Mapping[str, Columns]:
    """Return, by host, the columns that both fleets have of it and whose schema differs.

    The column that judges others together goes with them. What says no schema is not compared.
    """
    found: dict[str, Columns] = {}
    column = {metric.name: j for j, metric in enumerate(move.after.metrics)}
    for host, now in move.after.schemas.items():
        was = move.before.schemas.get(host, {})
        other = [name for name in now if now[name] and was.get(name, "") not in ("", now[name])]
        means = {metric.name for metric in move.after.metrics if metric.score == "mean"}
        words = {n: f"{n} is {now[n]} now, it was {was[n]}" for n in means.intersection(other)}
        columns = [(column[n], words.get(n, "")) for n in other if n in column]
        if columns:
            found[host] = columns + _joint(move.after, host)
    return found


def _joint(fleet: Fleet, host: str) -> Columns:
    column = joint_column(fleet.metrics)
    if column is None or fleet.metrics[column].name not in fleet.reported[host]:
        return []
    return [(column, "")]
