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


def paired(lost: int, won: int, of: int) -> tuple[float, float]:
    """The 95 % interval of the share that was lost, `(lost - won) / of`, of questions asked before and after.

    After Agresti and Min (2005): what was lost and what was won say how sure the difference is, and half a question is
    added to each of the four counts, so that nothing lost and nothing won is not for certain.
    """
    lost_, won_, of_ = lost + 0.5, won + 0.5, of + 2
    share = (lost_ - won_) / of_
    reach = _Z * sqrt(max(0.0, lost_ + won_ - (lost_ - won_) ** 2 / of_)) / of_
    return max(-1.0, share - reach), min(1.0, share + reach)
