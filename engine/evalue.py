"""E-values that carry the class of their validity, one or many.

Apart, because selection accepts nothing else: a bare float has lost what it may be used for.
A property that holds: what was checked cannot change.  What must fail: NaN and infinite evidence.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .arrays import Floats

Classes = npt.NDArray[np.int8]

Number = TypeVar("Number", bound=np.generic)


class Validity(IntEnum):
    """What an e-value may be used for, weakest first, so that the class of a sum is the least.

    THEOREM (randomised) and CONSTRUCTION (its null is monitored) may enter a controlled list;
    EMPIRICAL may be ranked; NONE is shown and opens nothing. DESIGN.md section 2.
    """

    NONE = 0
    EMPIRICAL = 1
    CONSTRUCTION = 2
    THEOREM = 3

    @property
    def word(self) -> str:
        """Return the name that screens, logs and the wire use."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class EValue:
    """One e-value as its natural logarithm (−∞ is e = 0) and its class.

    Raises ``ValueError`` for NaN and +∞: missing evidence is the last value, never a number
    made of nothing.
    """

    log_e: float
    validity: Validity

    def __post_init__(self) -> None:
        """Refuse what is no evidence."""
        refuse_no_evidence(np.asarray(self.log_e, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class EValues:
    """E-values of ``n`` nodes: ``log_e`` (n,) and ``validity`` (n,), values of `Validity`.

    Both are copied and sealed. Raises ``ValueError`` for NaN, +∞, unequal shapes and a class
    that does not exist.
    """

    log_e: Floats
    validity: Classes

    def __post_init__(self) -> None:
        """Check, copy and seal both arrays."""
        log_e = np.array(self.log_e, dtype=np.float64)
        validity = np.array(self.validity)
        if log_e.ndim != 1 or validity.shape != log_e.shape:
            message = f"log_e {log_e.shape} and validity {validity.shape} must both be (n,)"
            raise ValueError(message)
        refuse_no_evidence(log_e)
        if not np.isin(validity, list(Validity)).all():
            message = "validity holds a number that is no class"
            raise ValueError(message)
        object.__setattr__(self, "log_e", sealed(log_e))
        object.__setattr__(self, "validity", sealed(validity.astype(np.int8)))

    def __len__(self) -> int:
        return len(self.log_e)

    def __getitem__(self, node: int) -> EValue:
        return EValue(float(self.log_e[node]), Validity(int(self.validity[node])))


def refuse_no_evidence(log_e: Floats) -> None:
    """Raise ``ValueError`` if ``log_e`` holds NaN or +∞; −∞ (e = 0) passes."""
    wrong = np.isnan(log_e) | np.isposinf(log_e)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        message = f"log e is {log_e[at]} at index {at}: evidence is finite, or −∞ for e = 0"
        raise ValueError(message)


def sealed(array: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return ``array`` made read-only, so that what was checked stays so."""
    array.flags.writeable = False
    return array
