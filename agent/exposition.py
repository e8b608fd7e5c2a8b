"""Write metrics in the text form that Prometheus reads, version 0.0.4.

Apart from what is told, because escaping and order are the format's and not the agent's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final, Literal, TypeAlias

KIND: Final = "text/plain; version=0.0.4; charset=utf-8"  # of the page's content
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Kind: TypeAlias = Literal["counter", "gauge"]
Labels: TypeAlias = Mapping[str, str]
Sample: TypeAlias = tuple[Labels, float]


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one metric; ``help`` is one line without a backslash.

    ``name`` is whole, with unit and, of a counter, ``_total``.
    """

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]

    @classmethod
    def one(cls, name: str, kind: Kind, help_: str, value: float) -> "Family":
        """Return a metric that has no labels."""
        return cls(name, kind, help_, (({}, value),))


def page(families: Iterable[Family]) -> str:
    """Return the page; a sample that is NaN is not known and left out, a metric without any too."""
    lines: list[str] = []
    for family in families:
        known = [sample for sample in family.samples if not isnan(sample[1])]
        if known:
            lines += [f"# HELP {family.name} {family.help}"]
            lines += [f"# TYPE {family.name} {family.kind}"]
            lines += [f"{family.name}{_labels(about)} {_number(v)}" for about, v in known]
    return "".join(line + "\n" for line in lines)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    inner = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{inner}}}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.9g}"
