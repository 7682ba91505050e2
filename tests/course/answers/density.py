"""Answers to the assignment on density and statistics, right and wrong ones, and the marks that they must get."""

# Right, and written differently: torch, another family of rows, loops, bits for signs, SciPy's tests, the definition.
OTHER = {
    "density": '''
def density(maps, allowed=None):
    entropy = torch.special.entr(torch.as_tensor(maps)).sum(dim=-1).numpy()
    keys = maps.shape[-1] if allowed is None else np.sum(allowed, axis=1)
    return entropy / np.log(keys)
''',
    "heads_apart": '''
def heads_apart(h, n):
    reach = min(h, np.log(n) - h)
    return h - reach, h + reach
''',
    # A softmax of fixed scores, whose scale is the dial.
    "row_with_entropy": '''
def row_with_entropy(h, n):
    from scipy.special import entr, softmax

    scores = -np.sqrt(np.arange(n))
    if h < 1e-9:
        return np.eye(n)[0]
    low, high = -20.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        row = softmax(np.exp(middle) * scores)
        low, high = (middle, high) if entr(row).sum() > h else (low, middle)
    return row
''',
    "near_and_far": '''
def near_and_far(attn, grid):
    near, far = [], []
    for row, away in zip(attn, distances(grid)):
        rank = np.argsort(np.argsort(away))
        weights = sorted(row)
        near.append([weights[len(row) - 1 - i] for i in rank])
        far.append([weights[i] for i in rank])
    return np.array(near), np.array(far)
''',
    "differences": '''
def differences(one, other):
    both = sorted(set(one).intersection(other))
    return np.array([one[seed] for seed in both]) - [other[seed] for seed in both]
''',
    "interval": '''
def interval(d, level=0.95):
    low, high = stats.t.interval(level, len(d) - 1, np.mean(d), stats.sem(d))
    return np.mean(d), low, high
''',
    "sign_flip": '''
def sign_flip_p(d):
    n, as_far = len(d), 0
    for code in range(2**n):
        total = sum(x if code >> i & 1 else -x for i, x in enumerate(d))
        as_far += abs(total) / n > abs(sum(d)) / n - 1e-9
    return as_far / 2**n
''',
    "fewest_pairs": '''
def fewest_pairs(level):
    return max(1, int(np.ceil(1 - np.log2(level))))
''',
    "adjusted": '''
def adjusted(p):
    p = list(p)
    m = len(p)
    return np.array([
        min(1, max(q * sum(other >= q for other in p) for q in p if q <= mine))
        for mine in p
    ])
''',
    "conclude": '''
def conclude(family):
    names = list(family)
    claimed = holm([paired_p(family[name]) for name in names])
    up = [family[name].mean() > 0 for name in names]
    return {
        name: "not shown" if not yes else "higher" if above else "lower"
        for name, yes, above in zip(names, claimed, up)
    }
''',
    "pairs_needed": '''
def pairs_needed(effect, sd, chance=0.8, comparisons=1):
    n = np.arange(2, 2000)
    t = stats.t.isf(0.05 / comparisons / 2, n - 1)
    power = 1 - stats.nct.cdf(t, n - 1, effect / (sd / np.sqrt(n)))
    return int(n[power >= chance][0])
''',
}

# Plausible and wrong. The other cells have the source's solutions.
WRONG = {
    # Over ln N whatever a query may see: right without a mask, so the first test passes.
    "density": '''
def density(maps, allowed=None):
    logarithms = np.log(np.where(maps > 0, maps, 1.0))
    return -(maps * logarithms).sum(axis=-1) / np.log(maps.shape[-1])
''',
    # One head one-hot, whatever the other then has: more than ln N, if the mean is above half of it.
    "heads_apart": '''
def heads_apart(h, n):
    return 0.0, 2 * h
''',
    # Uniform over the nearest whole number of tokens: near the entropy, not equal to it.
    "row_with_entropy": '''
def row_with_entropy(h, n):
    k = round(np.exp(h))
    return np.where(np.arange(n) < k, 1 / k, 0.0)
''',
    # One order of distances for all rows, that of the first patch.
    "near_and_far": '''
def near_and_far(attn, grid):
    order = distances(grid)[0].argsort()
    near, far = np.empty_like(attn), np.empty_like(attn)
    near[:, order] = -np.sort(-attn, axis=1)
    far[:, order] = np.sort(attn, axis=1)
    return near, far
''',
    # Pairs by their place in the list, not by their seed.
    "differences": '''
def differences(one, other):
    return np.array([x - y for x, y in zip(one.values(), other.values())])
''',
    # The normal quantile for Student's: too narrow for few pairs.
    "interval": '''
def interval(d, level=0.95):
    half = stats.norm.ppf(0.5 + level / 2) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half
''',
    # One side only. fewest_pairs is right all the same.
    "sign_flip": '''
def sign_flip_p(d):
    signs = np.array(list(product((-1, 1), repeat=len(d))))
    return (signs @ d >= abs(d.sum()) - 1e-9).mean()
''',
    # p times what is left, without the running maximum: claims go on after the first failure.
    "adjusted": '''
def adjusted(p):
    p = np.asarray(p, float)
    rank = p.argsort().argsort()
    return np.minimum(p * (len(p) - rank), 1.0)
''',
    # Each comparison alone. Every study has an interval that excludes 0 and is no claim, so both marks are lost.
    "conclude": '''
def conclude(family):
    words = {}
    for name, d in family.items():
        way = "higher" if d.mean() > 0 else "lower"
        words[name] = way if paired_p(d) < 0.05 else "not shown"
    return words
''',
    # The number of comparisons is ignored: right for one.
    "pairs_needed": '''
def pairs_needed(effect, sd, chance=0.8, comparisons=1):
    n = 2
    while True:
        t = stats.t.ppf(0.975, n - 1)
        if stats.nct.sf(t, n - 1, np.sqrt(n) * effect / sd) >= chance:
            return n
        n += 1
''',
}

_ALL = {
    "test_density": 1,
    "test_density_allowed": 1,
    "test_heads_apart": 1,
    "test_row_with_entropy": 1,
    "test_near_and_far": 1,
    "test_differences": 1,
    "test_interval": 1,
    "test_sign_flip": 1,
    "test_fewest_pairs": 1,
    "test_adjusted": 1,
    "test_conclude_own": 1,
    "test_conclude_others": 1,
    "test_pairs_needed": 1,
    "test_pairs_needed_many": 1,
}
_KEPT = {"test_density", "test_fewest_pairs", "test_pairs_needed"}
MARKS = {
    "perfect": _ALL,
    "other": _ALL,
    "empty": dict.fromkeys(_ALL, 0),
    "wrong": {name: points if name in _KEPT else 0 for name, points in _ALL.items()},
}
