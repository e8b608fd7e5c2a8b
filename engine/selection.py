"""Choose nodes so that at most a share q of the chosen is expected to be wrong.

Apart, because this is the one place where "FDR <= q" is made, and the only one that can.
Null: no healthy fleet is selected more often than q, and no later filter makes it so.
Power: evidence of N/(q k) in each of k nodes is selected.
"""

from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np

from .arrays import Bools, Floats, Ints
from .evalue import EValues, Validity, refuse_no_evidence, sealed

# Exact ties such as 40 = 10/(.1·2.5) must not hang on the last bit of a logarithm. The price is
# a factor 1 + 1e-12 on q.
SLACK = 1e-12
_WORD = 8  # answers of one byte that a word of 64 bits holds
_FEW = 24  # nodes for every word with an answer in it, from which on looking at words pays
ADJUSTER_EXPONENT = 0.08  # k of A(e) = k e^(1-k): least evidence lost between 1e3 and 1e6 (B4)


def e_bh(values: EValues, q: float) -> Ints:
    """Return the sorted indices that the e-BH procedure selects (Wang and Ramdas, 2009.02824).

    The largest set F with ln e_i >= ln(N/(q |F|)) for all of it: FDR <= q under any dependence.
    ``q`` in (0, 1]. Raises ``ValueError`` for another q or no values.
    """
    n = len(values)
    _refuse_level(n, q)
    log_e, log_bar = values.log_e, log(n / q)
    return _largest_consistent(_at_least(log_e, log_bar - log(n) - SLACK), log_e, log_bar)


def sup_fdr_adjust(log_max: Floats) -> Floats:
    """Return ln A(e) (n,) of the running maximum e, A(e) = k e^(1−k), k = 0.08; A = 0 below 1.

    ∫ A(e)/e² de over [1, ∞) = 1, so A(max M) is an e-value at every time and for people who also
    look at the raw data (Choe and Ramdas, 2402.09698): the price of a list shown over time.
    Raises ``ValueError`` for NaN or +∞.
    """
    refuse_no_evidence(log_max)
    adjusted = log(ADJUSTER_EXPONENT) + (1.0 - ADJUSTER_EXPONENT) * log_max
    return np.where(log_max >= 0.0, adjusted, -np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class ControlledList:
    """Nodes of which it may be said: FDR <= q among them, per epoch (lemma in G4).

    ``members`` (m,) sorted node indices, ``log_e`` (m,) their evidence, ``n`` the size of the
    whole family, ``q`` in (0, 1]. Whoever builds one, by `check` or otherwise, the lemma's
    condition is verified: ``ValueError`` unless every member has ln e >= ln(n/(q·m)).
    """

    members: Ints
    log_e: Floats
    n: int
    q: float

    def __post_init__(self) -> None:
        """Verify the condition of the lemma, then seal the arrays."""
        members = np.array(self.members, dtype=np.int64)
        log_e = np.array(self.log_e, dtype=np.float64)
        _refuse_level(self.n, self.q)
        refuse_no_evidence(log_e)
        _refuse_members(members, self.n)
        if members.shape != log_e.shape:
            message = f"{members.shape} members with {log_e.shape} values"
            raise ValueError(message)
        if len(members) and log_e.min() < log(self.n / (self.q * len(members))) - SLACK:
            message = f"ln e = {log_e.min()} is too weak for a list of {len(members)} of {self.n}"
            raise ValueError(message)
        object.__setattr__(self, "members", sealed(members))
        object.__setattr__(self, "log_e", sealed(log_e))

    @classmethod
    def check(cls, members: Ints, log_e: Floats, n: int, q: float) -> Self:
        """Return the largest list that holds within ``members``, the weakest dropped.

        ``members`` indices into ``log_e`` (one per node of the family, NaN and +∞ refused) in
        any order; ``n`` >= len(log_e) the size of the family at epoch start, never less.
        """
        _refuse_level(n, q)
        refuse_no_evidence(log_e)
        if n < len(log_e):
            message = f"a family of {len(log_e)} cannot shrink to {n} inside an epoch"
            raise ValueError(message)
        some = np.unique(np.asarray(members, dtype=np.int64))
        _refuse_members(some, len(log_e))
        kept = _largest_consistent(some, log_e, log(n / q))
        return cls(kept, log_e[kept], n, q)

    def __len__(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True, eq=False)
class RankedList:
    """Nodes worth a look, strongest evidence by e-BH, of which no error rate is claimed.

    ``members`` (m,) sorted node indices, ``log_e`` (m,) their evidence; ``n`` and ``q`` as asked.
    """

    members: Ints
    log_e: Floats
    n: int
    q: float

    def __len__(self) -> int:
        return len(self.members)


def controlled(values: EValues, q: float, keep: Bools | None = None) -> ControlledList:
    """Return the controlled list of ``values``, adjusted ones if it is shown over time.

    Nodes below CONSTRUCTION count as e = 0 and stay in N. ``keep`` (n,) is whatever happened
    afterwards (attribution, silence, policy): it may only remove, and the list is checked after
    it. Raises ``ValueError`` as `e_bh` does.
    """
    sound = values.validity >= Validity.CONSTRUCTION
    log_e = np.where(sound, values.log_e, -np.inf)
    chosen = e_bh(EValues(log_e, values.validity), q)
    if keep is not None:
        chosen = chosen[keep[chosen]]
    return ControlledList.check(chosen, log_e, len(values), q)


def ranked(values: EValues, q: float) -> RankedList:
    """Return what e-BH selects of ``values`` whatever their class; errors as `e_bh`."""
    chosen = e_bh(values, q)
    return RankedList(chosen, values.log_e[chosen], len(values), q)


def _at_least(log_e: Floats, log_bar: float) -> Ints:
    """Return the sorted indices of ``log_e`` (n,) from ``log_bar`` on, quickly if they are few.

    One comparison of all; then eight answers at a time are looked at, as the bytes of one word.
    """
    passing = log_e >= log_bar
    whole = len(passing) // _WORD * _WORD
    answers = passing[:whole].view(np.uint64)
    words = (answers != 0).nonzero()[0]
    if len(words) * _FEW > len(passing):
        return passing.nonzero()[0]
    hits = answers.take(words).view(np.bool_).nonzero()[0]
    found = words.take(hits >> 3)
    found <<= 3
    found += hits & 7
    rest = passing[whole:].nonzero()[0]
    return np.concatenate([found, rest + whole]) if len(rest) else found


def _largest_consistent(candidates: Ints, log_e: Floats, log_bar: float) -> Ints:
    """Return the largest F within ``candidates`` with ln e >= ``log_bar`` − ln |F|.

    The bar for all candidates together is the lowest; it rises as they fall out, until none
    does. No sort, and one pass where nothing happens.
    """
    kept, strength, size = candidates, log_e.take(candidates), -1
    while len(kept) not in (0, size):
        size = len(kept)
        strong = strength >= log_bar - log(size) - SLACK
        if not strong.all():
            kept, strength = kept[strong], strength[strong]
    return kept


def _refuse_level(n: int, q: float) -> None:
    if n < 1:
        message = "no e-values: selection from an empty family is undefined"
        raise ValueError(message)
    if not 0.0 < q <= 1.0:
        message = f"q must be in (0, 1], not {q}"
        raise ValueError(message)


def _refuse_members(members: Ints, n: int) -> None:
    if members.ndim != 1 or (np.diff(members) <= 0).any():
        message = "members must be sorted and different from one another"
        raise ValueError(message)
    if len(members) and not (members[0] >= 0 and members[-1] < n):
        message = f"members must be indices below {n}"
        raise ValueError(message)
