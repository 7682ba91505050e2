"""Answers to the assignment on the softmax Jacobian, right and wrong ones, and the marks that they must get."""

# Right, and written differently: loops, einsum, a closed form, Newton's method, a search.
OTHER = {
    "differences": """
def differences(f, x, h=1e-5):
    ups = [f(x + h * unit) for unit in np.eye(len(x))]
    downs = [f(x - h * unit) for unit in np.eye(len(x))]
    return (np.array(ups) - np.array(downs)).T / (2 * h)
""",
    "jacobian": """
def jacobian(weights, scale):
    outer = np.einsum("...j,...k->...jk", weights, weights)
    diagonal = np.zeros_like(outer)
    index = np.arange(weights.shape[-1])
    diagonal[..., index, index] = weights
    return (diagonal - outer) * scale
""",
    "scores_backward": """
def scores_backward(d_weights, weights, scale):
    through = scale * weights * d_weights
    return through - weights * through.sum(axis=-1, keepdims=True)
""",
    "numbers_in_jacobians": "numbers_in_jacobians = float(heads) * tokens**3",
    "temperatures_backward": """
def temperatures_backward(d_maps, scores, temperatures):
    gradients = []
    for d_map, score, tau in zip(d_maps, scores, temperatures):
        weights = softmax(score, 1 / tau)
        inner = d_map - (weights * d_map).sum(axis=1, keepdims=True)
        gradients.append(-(inner * weights * score).sum() / tau**2)
    return np.array(gradients)
""",
    "half_temperature": """
grid = np.geomspace(0.01, 100, 2_000_001)
gaps = scores.max() - np.sort(scores)[:-1]
others = sum(np.exp(-gap / grid) for gap in gaps)
half_temperature = grid[np.abs(others - 1).argmin()]
""",
    "steepest_row": """
def steepest_row(first, n):
    rest = (1 - first) / (n - 1)
    return [first] + [rest for _ in range(n - 1)]
""",
    "tokens_needed": """
def tokens_needed(norm):
    m = 1
    while 1 - 1 / m < norm:
        m += 1
    return m
""",
    "cross_entropy_backward": """
def cross_entropy_backward(logits, labels):
    count, classes = logits.shape
    rows = []
    for row, label in zip(logits, labels):
        exponentials = np.exp(row - row.max())
        rows.append(exponentials / exponentials.sum() - np.eye(classes)[label])
    return np.array(rows) / count
""",
}

# Plausible and wrong. The other cells have the source's solutions.
WRONG = {
    # Forward differences: right for a matrix, so the first test passes, but not exact for squares.
    "differences": """
def differences(f, x, h=1e-5):
    steps = h * np.eye(len(x))
    return np.stack([(f(x + step) - f(x)) / h for step in steps], axis=1)
""",
    # Right for one row; np.outer flattens a stack, so the second test fails.
    "jacobian": """
def jacobian(weights, scale):
    return scale * (np.diag(weights) - np.outer(weights, weights))
""",
    # The right gradient, through a Jacobian for each row: the test of memory fails.
    "scores_backward": """
def scores_backward(d_weights, weights, scale):
    outer = weights[..., :, None] * weights[..., None, :]
    eye = np.eye(weights.shape[-1])
    J = scale * (weights[..., :, None] * eye - outer)
    return (J @ d_weights[..., None])[..., 0]
""",
    # The rows of one head only.
    "numbers_in_jacobians": "numbers_in_jacobians = tokens**3",
    # Added up over the heads: right for one head alone.
    "temperatures_backward": """
def temperatures_backward(d_maps, scores, temperatures):
    tau = temperatures[:, None, None]
    maps = softmax(scores / tau)
    mean = (maps * scores).sum(axis=-1, keepdims=True)
    total = -(d_maps * maps * (scores - mean) / tau**2).sum()
    return np.array([total])
""",
    # The rest on a single token: the flattest way to share, not the steepest.
    "steepest_row": """
def steepest_row(first, n):
    row = np.zeros(n)
    row[:2] = first, 1 - first
    return row
""",
    # Rounded to the nearest, where it must be rounded up.
    "tokens_needed": """
def tokens_needed(norm):
    return round(1 / (1 - norm))
""",
    # Right, but the exponentials overflow.
    "cross_entropy_backward": """
def cross_entropy_backward(logits, labels):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return (p - np.eye(logits.shape[1])[labels]) / len(labels)
""",
}

_ALL = {
    "test_differences_shape": 1,
    "test_differences_central": 1,
    "test_jacobian_row": 1,
    "test_jacobian_stack": 1,
    "test_scores_backward": 1,
    "test_scores_backward_memory": 1,
    "test_numbers_in_jacobians": 1,
    "test_temperature_of_one_head": 1,
    "test_temperatures_of_heads": 1,
    "test_half_temperature": 1,
    "test_steepest_row": 1,
    "test_tokens_needed": 1,
    "test_cross_entropy": 1,
    "test_cross_entropy_large": 1,
}
_LOST = {
    "test_differences_central", "test_jacobian_stack", "test_scores_backward_memory", "test_numbers_in_jacobians",
    "test_temperatures_of_heads", "test_steepest_row", "test_tokens_needed", "test_cross_entropy_large",
}
MARKS = {
    "perfect": _ALL,
    "other": _ALL,
    "empty": dict.fromkeys(_ALL, 0),
    "wrong": {name: 0 if name in _LOST else points for name, points in _ALL.items()},
}
