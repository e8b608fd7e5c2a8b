"""Tell a host's evidence from that of another history: other plans, or older than what was heard.

Apart from gathering, because these are the only places where a message is not believed although
every number in it is sound.
"""

from ...proto.messages import Up2
from ..plan.planner import Planner
from .gather import GatherUp2

LARGEST_NUMBER = 1 << 30  # epochs travel as int32: one mad agent must not use up all numbers


class Histories:
    """Which hosts have come back and not spoken yet, and whose plans were not made here."""

    def __init__(self) -> None:
        """Know of nobody."""
        self._returning: set[str] = set()
        self._foreign: dict[str, int] = {}  # host to the plan that it followed

    def came_back(self, host: str) -> None:
        """Look at the first evidence of ``host`` that comes from now on."""
        self._returning.add(host)

    def followed(self, host: str, plan: int) -> None:
        """Note that ``host`` follows a ``plan`` of others, which it has been told to leave."""
        self._foreign[host] = plan

    def differs(self, up2: Up2, planner: Planner, heard: GatherUp2) -> str:
        """Return why ``up2`` is of another history than the one known of its host, "" if it is not.

        The φ, κ and margins of an unknown plan are another aggregator's, or those of a state of
        this one that is lost; it is told once, and numbers go on above it. What is older than
        what was heard before the host went is another agent's, or an older state.
        """
        returning = up2.host in self._returning
        self._returning.discard(up2.host)
        if up2.plan and not planner.issued(up2.plan):
            epoch = int(max(up2.change_epoch.max(initial=-1), up2.level_epoch.max(initial=-1)))
            known = self._foreign.get(up2.host) == up2.plan
            if known or max(up2.plan, epoch) > LARGEST_NUMBER:
                return ""
            self.followed(up2.host, up2.plan)
            planner.overtake(up2.plan, epoch)
            return f"its agent followed plan {up2.plan}, which is not known here"
        if returning and heard.ends_before(up2):
            return "its agent came back with older evidence than was heard"
        return ""
