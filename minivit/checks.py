"""Check equations in the open: a cell of the book states a claim, compares both sides and prints the result."""

from typing import Any

import numpy as np


def check(claim: str, left: Any, right: Any, atol: float = 1e-12) -> None:
    """Compare the two sides of an equation element by element, and print the claim with the tolerance.

    Parameters
    ----------
    claim
        What is claimed, in words.
    left, right
        Arrays or tensors of the same shape, or numbers; a number is compared with every element.
    atol
        Largest difference allowed; 0 if the two must be equal to the last bit.

    Raises
    ------
    AssertionError
        With the claim and the largest difference, if that exceeds ``atol``.

    Examples
    --------
    >>> check("thirds add up", 3 * (1 / 3), 1.0)
    ✓ thirds add up (to 1e-12)
    """
    left, right = (np.asarray(side.detach() if hasattr(side, "detach") else side, dtype=float)
                   for side in (left, right))
    np.testing.assert_allclose(left, right, rtol=0, atol=atol, err_msg=f"claim: {claim}")
    say(f"✓ {claim} ({f'to {atol:.0e}' if atol else 'exactly'})")


def say(text: str) -> None:
    """Print text, in ASCII if the console can't encode it: a check must not fail for want of a tick."""
    try:
        print(text)
    except UnicodeEncodeError:
        print(text.replace("✓", "ok").encode("ascii", "backslashreplace").decode("ascii"))
