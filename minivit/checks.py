"""Check equations in the open, and check answers to exercises without giving them away.

A cell of the book states a claim, compares both sides and prints the result. A cell that checks an exercise says what
is still to do, and compares digests where no property tells a right answer from a wrong one.
"""

import hashlib
from numbers import Number
from typing import Any

import numpy as np


def check(claim: str, left: Any, right: Any, atol: float = 1e-12) -> None:
    """Compare the two sides of an equation element by element, and print the claim with the tolerance.

    Parameters
    ----------
    claim
        What is claimed, in words.
    left, right
        Arrays or tensors of the same shape, of any precision and on any device, or numbers; a number is compared with
        every element.
    atol
        Largest difference allowed; 0 if the two must be equal to the last bit.

    Raises
    ------
    AssertionError
        With the claim and the largest difference, if that exceeds ``atol``; or if a side is still to do or is empty.

    Examples
    --------
    >>> check("thirds add up", 3 * (1 / 3), 1.0)
    ✓ thirds add up (to 1e-12)
    """
    attempted(left, right)
    left, right = (as_array(side).astype(float) for side in (left, right))
    if not left.size or not right.size:
        raise AssertionError(f"claim: {claim}: there is nothing to compare; a side is empty, of shape "
                             f"{left.shape if not left.size else right.shape}")
    np.testing.assert_allclose(left, right, rtol=0, atol=atol, err_msg=f"claim: {claim}")
    say(f"✓ {claim} ({f'to {atol:.0e}' if atol else 'exactly'})")


def as_array(x: Any) -> np.ndarray:
    """Convert anything NumPy accepts, or PyTorch's tensors (with a gradient, on a device, in bfloat16), to an array."""
    if isinstance(x, list | tuple) and any(hasattr(each, "detach") for each in x):
        x = [as_array(each) for each in x]
    if hasattr(x, "detach"):  # so PyTorch need not be imported
        x = x.detach().cpu()
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x  # NumPy has no bfloat16; float32 holds its numbers
    return np.asarray(x)


def say(text: str) -> None:
    """Print text, in ASCII if the console can't encode it: a check must not fail for want of a tick."""
    try:
        print(text)
    except UnicodeEncodeError:
        print(text.replace("✓", "ok").encode("ascii", "backslashreplace").decode("ascii"))


def attempted(*answers: Any, **named: Any) -> None:
    """Say what is still to do, if an answer is None or the ``...`` that stands in the learner's edition.

    Parameters
    ----------
    *answers
        Answers to an exercise: variables, or what a function returned that the reader writes.
    **named
        More answers, each under the name that the message should use.

    Raises
    ------
    AssertionError
        If an answer is Ellipsis or None: with its name or number, and what to do.

    Examples
    --------
    >>> attempted(rows=..., columns=7)
    Traceback (most recent call last):
    AssertionError: still to do: rows is still `...`; put your answer there, and run its cell again
    """
    numbered = {f"answer {i}" if len(answers) > 1 else "your answer": answer for i, answer in enumerate(answers, 1)}
    for name, answer in (numbered | named).items():
        if answer is ...:
            raise AssertionError(f"still to do: {name} is still `...`; put your answer there, and run its cell again")
        if answer is None:
            raise AssertionError(f"still to do: {name} is None; a function hands over its result with `return`")


def digest(value: Any, decimals: int = 6) -> str:
    """Return eight hexadecimal digits that belong to a rounded answer, but don't say what it is.

    The type that holds an answer doesn't matter: 3 and 3.0, or a list, an array and a tensor of equal numbers, have the
    same digest. Choose ``decimals`` so that right answers, with the rounding errors of any machine, are rounded alike.

    Parameters
    ----------
    value
        A number, a string (its case and the spaces around it don't matter), an array or a tensor; or a list, a tuple or
        a set of these.
    decimals
        How many decimals count, at least 0.

    Raises
    ------
    AssertionError
        If the answer or a part of it is still to do.
    TypeError
        If it is something else, such as a function.
    ValueError
        If ``decimals`` is not a whole number of at least 0.

    Examples
    --------
    >>> digest(1 / 3, decimals=3) == digest(0.333)
    True
    """
    if not isinstance(decimals, int) or decimals < 0:
        raise ValueError(f"decimals={decimals!r} must be a whole number, at least 0")
    return hashlib.sha256(_rounded(value, decimals).encode()).hexdigest()[:8]


def _rounded(value: Any, decimals: int) -> str:
    """Write an answer in the form that it shares with all equal answers."""
    attempted(value)
    if isinstance(value, str):
        return repr(value.strip().casefold())
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_rounded(each, decimals) for each in value))}}}"
    if hasattr(value, "tolist"):  # an array, a tensor, or a number of NumPy's
        value = value.tolist()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_rounded(each, decimals) for each in value)}]"
    if isinstance(value, Number):
        digits = f"{value:z.{decimals}f}"  # z: what is rounded to 0 has no sign
        return digits.rstrip("0").rstrip(".") if decimals else digits
    raise TypeError(f"an answer is made of numbers or words, not of {type(value).__name__}: {value!r}")
