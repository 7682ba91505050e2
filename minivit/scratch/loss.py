"""How wrong an answer is: cross-entropy, with label smoothing (Szegedy et al., 2016).

Axes: B images, K classes.
"""

import numpy as np

from minivit.scratch.arrays import as_array, check_shape
from minivit.scratch.softmax import softmax


def cross_entropy(logits: np.ndarray, labels: np.ndarray, label_smoothing: float = 0.0) -> float:
    r"""Return the mean surprise at the right answer.

    .. math:: L = -\frac{1}{B} \sum_b \sum_k t_{bk} \ln p_{bk}, \qquad p_b = \operatorname{softmax}(z_b), \qquad
       t_{bk} = (1 - \epsilon)\,\mathbb{1}_{k = y_b} + \epsilon / K

    Parameters
    ----------
    logits
        z, shape (B, K), B at least 1. A logit of :math:`-\infty` rules a class out: it adds nothing to the sum unless
        its target is positive, as it always is with label smoothing; then L is infinite.
    labels
        y, shape (B,): whole numbers in [0, K).
    label_smoothing
        ε in [0, 1]: the fraction of the target that is spread evenly over all classes.

    Returns
    -------
    float
        L, in nats: ln K if all classes are equally likely.

    Raises
    ------
    ValueError
        If a shape does not fit, or a label or the smoothing is out of range.
    """
    logits = check_shape("logits", logits, "B", "K")
    targets = _targets(logits, labels, label_smoothing)
    shifted = logits - logits.max(axis=-1, keepdims=True)  # so no exponential overflows
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    # A target of 0 adds nothing, even if the logarithm is infinite: 0 ln 0 is 0.
    surprise = np.multiply(targets, log_probs, where=targets > 0, out=np.zeros_like(log_probs))
    return float(-surprise.sum() / len(logits))


def cross_entropy_backward(logits: np.ndarray, labels: np.ndarray, label_smoothing: float = 0.0) -> np.ndarray:
    r"""Start the backward pass: what the model said minus what it should have said.

    .. math:: d_z = (p - t) / B

    Parameters
    ----------
    logits, labels, label_smoothing
        The inputs of :func:`cross_entropy`.

    Returns
    -------
    array of shape (B, K)
        Its rows sum to 0.

    Raises
    ------
    ValueError
        If a shape does not fit, or a label or the smoothing is out of range.
    """
    logits = check_shape("logits", logits, "B", "K")
    return (softmax(logits) - _targets(logits, labels, label_smoothing)) / len(logits)


def _targets(logits: np.ndarray, labels: np.ndarray, label_smoothing: float) -> np.ndarray:
    """Return the target probabilities t, shape (B, K), whose rows sum to 1."""
    labels, (batch, classes) = as_array(labels), logits.shape
    if not batch or not classes:
        raise ValueError(f"logits has shape {logits.shape}; expected at least one row and one class")
    if labels.shape != (batch,):
        raise ValueError(f"labels has shape {labels.shape}; expected ({batch},), one for each row of logits")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be whole numbers in [0, {classes}), one of the columns of logits")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing} is not in [0, 1]")
    targets = np.full_like(logits, label_smoothing / classes)
    targets[np.arange(batch), labels] += 1 - label_smoothing
    return targets
