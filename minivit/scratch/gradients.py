"""Is a gradient right? Move one number up and down a little, and see what the function does."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minivit.checks import as_array, say
from minivit.options import check_at_least, check_positive
from minivit.scratch.arrays import as_float


def numerical_gradient(function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    r"""Return the gradient of a function of an array by central differences, one entry at a time.

    .. math:: \frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}

    The error is of order h² from the curvature of f, plus 10⁻¹⁶ / h from rounding.

    Parameters
    ----------
    function
        Takes an array of the shape of x, in float64, and returns a number.
    x
        Where to take the gradient. It is copied, as float64: a step of 10⁻⁵ from 1000 is none in float32.
    step
        h.

    Returns
    -------
    array of the shape of x

    Raises
    ------
    ValueError
        If the step is not larger than 0, or the function doesn't return a number.
    """
    check_positive(step=step)
    x = _copy(as_float(x))
    found = np.array([as_array(_difference(function, x, index, step)) for index in np.ndindex(x.shape)])
    if found.size != x.size:
        raise ValueError(f"function returned an array of shape {found.shape[1:]}; it must return a number")
    return found.reshape(x.shape)


def check_gradients(forward: Callable[..., Any], backward: Callable[..., Any], /, *, tolerance: float = 1e-6,
                    step: float = 1e-5, entries: int = 100, seed: int = 0,
                    **inputs: np.ndarray | Mapping[str, np.ndarray]) -> None:
    r"""Compare a backward function with central differences of its forward function; print one line per gradient.

    The output y of ``forward`` is weighted by a random array :math:`d_y` of the same shape; ``backward`` must return
    the gradient of :math:`\langle d_y, y \rangle` with respect to every input.

    Parameters
    ----------
    forward
        Called with the inputs as positional arguments. Returns an array or a number, or a tuple that begins with it.
    backward
        Called with :math:`d_y`, then the inputs. Returns one gradient per input, in order (for a single input, the
        gradient itself). For an input that is a dictionary of arrays, the gradient is a dictionary with the same keys.
    tolerance
        Largest error allowed in an entry: relative if the gradient is larger than 1, otherwise absolute.
    step
        h of the central differences.
    entries
        Maximum number of entries to compare per array, drawn at random.
    seed
        Seed for all random numbers.
    **inputs
        Arrays, or dictionaries of arrays, under any names. They are copied, as float64.

    Raises
    ------
    AssertionError
        If an entry differs by more than the tolerance, or a gradient is missing or has the wrong shape: with a report
        that names the input, the index and both values. Also if ``forward`` returns nothing, or if a function writes
        into its arguments: every difference that follows would be wrong.
    ValueError
        If the tolerance, the step or the number of entries is out of range.

    Examples
    --------
    >>> check_gradients(np.sin, lambda d_out, x: d_out * np.cos(x), x=np.ones((2, 3)))
    ✓ d_x (2, 3): 6 of 6 entries agree (to 1e-06)
    """
    check_positive(tolerance=tolerance, step=step)
    check_at_least(1, entries=entries)
    rng = np.random.default_rng(seed)
    arguments = {name: _copy(value) for name, value in inputs.items()}
    values = list(arguments.values())
    if (first := _output(_call("forward", forward, **arguments))) is None:
        raise AssertionError("forward returned nothing; expected an array or a number")
    d_out = rng.normal(size=np.shape(first))
    gradients = _call("backward", backward, d_out=d_out, **arguments)
    if len(values) == 1 and not isinstance(gradients, tuple):
        gradients = (gradients,)
    if not isinstance(gradients, tuple | list) or len(gradients) != len(values):
        raise AssertionError(f"backward returned {_describe(gradients)}; expected a gradient for each of "
                             f"{', '.join(inputs)}, in this order")

    def weighted() -> float:
        return float((d_out * as_array(_output(forward(*values)))).sum())

    report, failed = [], False
    for name, value, gradient in zip(inputs, values, gradients, strict=True):
        for key, array, d_array in _arrays(name, value, gradient):
            right, line = _compare(key, array, d_array, weighted, rng, tolerance, step, entries)
            report.append(line)
            failed |= not right
    if failed:
        raise AssertionError("the gradients do not agree with central differences\n" + "\n".join(report))
    say("\n".join(report))


def _call(what: str, function: Callable[..., Any], **arguments: Any) -> Any:
    """Call a function with copies of its arguments, and see that it doesn't write into them."""
    given = {name: _copy(value) for name, value in arguments.items()}
    result = function(*given.values())
    for name, value in arguments.items():
        for label, before, after in _arrays(name, value, given[name]):
            if not np.array_equal(before, after, equal_nan=True):
                raise AssertionError(f"{what} changed {label}, which it was given: `+=` and `[...] =` write into the "
                                     "array itself; make a new one, as `x + y` and `x.copy()` do")
    return result


def _compare(name: str, array: np.ndarray, gradient: Any, weighted: Callable[[], float], rng: np.random.Generator,
             tolerance: float, step: float, entries: int) -> tuple[bool, str]:
    """Return whether one gradient is right, and its line for the report."""
    if np.shape(gradient) != array.shape or gradient is None:
        return False, f"✗ d_{name}: backward returned {_describe(gradient)}; expected an array of shape {array.shape}"
    gradient = as_array(gradient).astype(float)
    drawn = rng.permutation(array.size)[:entries]
    errors = []
    for index in zip(*np.unravel_index(drawn, array.shape), strict=True) if array.ndim else [()]:
        by_difference = _difference(lambda _: weighted(), array, index, step)
        error = abs(gradient[index] - by_difference) / max(1, abs(by_difference))
        errors.append((error if np.isfinite(error) else np.inf, tuple(map(int, index)), by_difference))
    if not errors:
        return True, f"✓ d_{name} {array.shape}: it has no entries"
    worst, index, by_difference = max(errors)
    wrong = sum(error > tolerance for error, _, _ in errors)
    if wrong:
        return False, (f"✗ d_{name} {array.shape}: {wrong} of {len(errors)} entries differ by more than {tolerance:.0e}"
                       f"\n    most at {list(index)}: backward {gradient[index]:.9g}, "
                       f"central difference {by_difference:.9g}")
    return True, f"✓ d_{name} {array.shape}: {len(errors)} of {array.size} entries agree (to {tolerance:.0e})"


def _difference(function: Callable[[np.ndarray], float], x: np.ndarray, index: tuple[int, ...], step: float) -> float:
    """Return the central difference for one entry of x, which is moved in place and restored."""
    kept = x[index]
    x[index] = kept + step
    up = function(x)
    x[index] = kept - step
    down = function(x)
    x[index] = kept
    return (up - down) / (2 * step)


def _arrays(name: str, value: Any, gradient: Any) -> Iterator[tuple[str, np.ndarray, Any]]:
    """Yield an input, or each array if it is a dictionary, with its gradient."""
    if not isinstance(value, dict):
        yield name, value, gradient
        return
    for key, array in value.items():
        yield f"{name}[{key!r}]", array, gradient.get(key) if isinstance(gradient, Mapping) else None


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(array) for key, array in value.items()}
    return np.array(as_array(value), dtype=np.float64)


def _output(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _describe(gradient: Any) -> str:
    if gradient is None:
        return "nothing"
    if isinstance(gradient, tuple | list):
        return f"{len(gradient)} gradients"
    return f"shape {np.shape(gradient)}" if not isinstance(gradient, Mapping) else "a dictionary"
