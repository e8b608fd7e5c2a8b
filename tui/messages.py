"""What the parts of the terminal tell each other.

Apart, because whoever tells and whoever is told need not know each other.
"""

from textual.message import Message

from .view import LinkLost, View


class Told(Message):
    """The aggregator said something, or nothing any more; only the last of a burst counts."""

    def __init__(self, news: View | LinkLost) -> None:
        """Keep the view, or how the link was lost."""
        self.news = news
        super().__init__()


class NodeChosen(Message):
    """A person wants to know more about a node."""

    def __init__(self, node: str) -> None:
        """Keep the node's id."""
        self.node = node
        super().__init__()
