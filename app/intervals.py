"""How sure a share is that was counted on a few questions."""

from math import sqrt
from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.975)


def wilson(right: int, of: int) -> tuple[float, float]:
    """The 95 % interval of the share `right` of `of`, after Wilson (1927); from 0 to 1 where nothing was asked.

    A bootstrap would say that 0 of 12 is 0 for certain; this one says 0 to 0.24.
    """
    if not of:
        return 0.0, 1.0
    share, z2 = right / of, _Z**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = _Z * sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return max(0.0, middle - reach), min(1.0, middle + reach)
