"""Answers to the assignment on less attention, right and wrong ones, and the marks that they must get."""

# Right, and written differently: tables, closed forms, counting arrays by name, a search through all designs.
OTHER = {
    "layer_cost": '''
def layer_cost(N, C, H, form, rank=None):
    D = C // H
    matrix = N**2 if rank is None else N * rank * 2
    heads = {
        "attention": [N * D * C, N * D * C, N * D * N],  # Q, K and their product
        "scores": [N * matrix, N * matrix],
        "factors": [D * matrix, D * matrix, N * D * N],
    }[form]
    macs = H * (sum(heads) + N * D * C + N * N * D) + N * C * C
    params = (C + 1) * C * (4 if form == "attention" else 2)
    return macs, params + (0 if form == "attention" else 2 * matrix)
''',
    # The root of 2 H N² - C N - 2 C² = 0, as in the chapter.
    "largest_side": '''
def largest_side(patch, C, H):
    root = (C + (C**2 + 16 * H * C**2) ** 0.5) / (4 * H)
    return max(k for k in range(1, 3000) if k * k + 1 < root - 1e-9) * patch
''',
    "largest_rank": '''
def largest_rank(form, N, C, H):
    own = 2 * N * C**2 + N**2 * C
    ranks = range(1, N)
    if form == "scores":
        cheaper = [r for r in ranks if 4 * H * N**2 * r < own]
    else:
        cheaper = [r for r in ranks if 4 * N * C * r + N**2 * C < own]
    return max(cheaper, default=0)
''',
    # Count distinct arrays by name: S are scores, T is what Psi gets, A are maps.
    "kept_maps": '''
def kept_maps(depth, computes):
    kept = set()
    for i in set(range(depth)) - set(computes):
        kept |= {("S", i - 1), ("T", i), ("A", i)}
        if i - 1 in computes:
            kept.add(("A", i - 1))
    return len(kept)
''',
    "model_cost": '''
def model_cost(layers, N, C, classes):
    def linear(rows, inputs, outputs):
        return rows * inputs * outputs, (inputs + 1) * outputs

    norm = 0, 2 * C
    parts = [linear(N - 1, 48, C), (0, C), (0, N * C), norm, linear(1, C, classes)]
    for layer in layers:
        parts += [norm, layer, norm, linear(N, C, 4 * C), linear(N, 4 * C, C)]
    return sum(part[0] for part in parts), sum(part[1] for part in parts)
''',
    # All designs, from the best down, by measured layers: no formula from above.
    "design": '''
def design(N, C, H, budget, least_rank):
    def whole(*layers):
        return np.array(model_cost(layers, N, C, 10))

    va = layer_cost(N, C, H, "attention")
    less = {
        (form, rank): layer_cost(N, C, H, form, rank)
        for rank in [None, *range(N - 1, least_rank - 1, -1)]
        for form in ("factors", "scores")
    }
    one, none = whole(va), whole()
    blocks = {how: whole(la) - none for how, la in less.items()}
    for depth in range(30, 0, -1):
        for own in range(depth, 0, -1):
            for (form, rank), la in blocks.items():
                total = none + own * (one - none) + (depth - own) * la
                if (total <= budget).all():
                    computes = [0, *range(depth - own + 1, depth)]
                    return dict(
                        depth=depth, computes=computes, form=form, rank=rank
                    )
''',
}

# Plausible and wrong. The other cells have the source's solutions.
WRONG = {
    # On factors, the product of the mixed queries and keys is forgotten. Attention, scores and parameters are right.
    "layer_cost": '''
def layer_cost(N, C, H, form, rank=None):
    linear = C * C + C
    macs, params = 2 * N * C * C + N * N * C, 2 * linear
    if form == "attention":
        return macs + 2 * N * C * C + N * N * C, params + 2 * linear
    column = N * N if rank is None else 2 * N * rank
    return macs + 2 * column * (H * N if form == "scores" else C), params + 2 * column
''',
    # The class token is forgotten. For the student's own width this may not show; the other sizes have it.
    "largest_side": '''
def largest_side(patch, C, H):
    root = (C + (C**2 + 16 * H * C**2) ** 0.5) / (4 * H)
    return int(root**0.5) * patch
''',
    # A quarter of a head is cheaper for any N, but not the largest rank for this one.
    "largest_rank": '''
def largest_rank(form, N, C, H):
    return min(C // H // 4 if form == "scores" else C // 2, N - 1)
''',
    # Every less-attention layer counts scores, halfway scores and map; the map of the attention below is forgotten if
    # there's attention again further up. So the first mark stays.
    "kept_maps": '''
def kept_maps(depth, computes):
    return 3 * (depth - len(computes)) + (len(computes) < depth)
''',
    # The biases of the MLP are forgotten: they have no multiply-adds, so the first mark stays.
    "model_cost": '''
def model_cost(layers, N, C, classes):
    macs = (N - 1) * 48 * C + C * classes
    params = 49 * C + C + N * C + 2 * C + C * classes + classes
    for layer_macs, layer_params in layers:
        macs += layer_macs + 8 * N * C * C
        params += layer_params + 4 * C + 8 * C * C
    return macs, params
''',
    # The deepest, by measured layers, but with the lowest rank and attention in block 0 only: two of four marks.
    "design": '''
def design(N, C, H, budget, least_rank):
    form = min(
        ("scores", "factors"),
        key=lambda form: measured_layer(N, C, H, form, least_rank),
    )
    depth = 1
    while True:
        model = build(N, C, H, depth + 1, [0], form, least_rank)
        macs, params, _ = measure(model, N)
        if macs > budget[0] or params > budget[1]:
            break
        depth += 1
    return {"depth": depth, "computes": [0], "form": form, "rank": least_rank}
''',
}

_ALL = {
    "test_attention": 1,
    "test_scores": 1,
    "test_factors": 1,
    "test_parameters": 1,
    "test_largest_side": 1,
    "test_largest_rank": 1,
    "test_kept_bottom": 1,
    "test_kept_any": 1,
    "test_model_macs": 1,
    "test_model_params": 1,
    "test_design_fits": 1,
    "test_design_deepest": 1,
    "test_design_best": 1,
    "test_design_others": 1,
}
_LOST = {
    "test_factors", "test_largest_side", "test_largest_rank", "test_kept_any", "test_model_params", "test_design_best",
    "test_design_others",
}
MARKS = {
    "perfect": _ALL,
    "other": _ALL,
    "empty": dict.fromkeys(_ALL, 0),
    "wrong": {name: 0 if name in _LOST else points for name, points in _ALL.items()},
}
