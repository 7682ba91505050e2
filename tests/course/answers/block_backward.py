"""Answers to the assignment ``block_backward``, for the round trip: right ones and plausible wrong ones."""

OTHER = {
    "linear": '''
def linear(x, weight, bias):
    return np.einsum("...i,oi->...o", x, weight) + bias, {"x": x, "w": weight}


def linear_backward(d_y, saved):
    x, weight = saved["x"], saved["w"]
    front = tuple(range(x.ndim - 1))
    d_weight = np.tensordot(d_y, x, axes=(front, front))
    return np.einsum("...o,oi->...i", d_y, weight), d_weight, d_y.sum(axis=front)
''',
    "layer_norm": '''
def layer_norm(x, weight, bias):
    s = np.sqrt(x.var(axis=-1) + 1e-6)[..., None]
    return weight * (x - x.mean(axis=-1)[..., None]) / s + bias, (x, s, weight)


def layer_norm_backward(d_y, saved):
    x, s, weight = saved
    size = x.shape[-1]
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / s
    # The whole Jacobian of each token, (..., C, C): slow, but it's the equation.
    jacobian = np.eye(size) - 1 / size - x_hat[..., None] * x_hat[..., None, :] / size
    d_x = ((weight * d_y)[..., None, :] @ jacobian)[..., 0, :] / s
    rows = (d_y * x_hat).reshape(-1, size)
    return d_x, rows.sum(axis=0), d_y.reshape(-1, size).sum(axis=0)
''',
    "gelu": '''
def gelu(u):
    return u * (1 + erf(u / 2**0.5)) / 2, u


def gelu_backward(d_g, u):
    density = np.exp(-0.5 * u * u) * (2 * np.pi) ** -0.5
    return d_g * ((1 + erf(u / 2**0.5)) / 2 + u * density)
''',
    "attend": '''
def attend(q, k, v):
    scores = np.einsum("...id,...jd->...ij", q, k) / np.sqrt(q.shape[-1])
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    maps = powers / powers.sum(axis=-1, keepdims=True)
    return np.einsum("...ij,...jd->...id", maps, v), dict(q=q, k=k, v=v, a=maps)


def attend_backward(d_y, saved):
    q, k, v, a = (saved[name] for name in "qkva")
    y = a @ v
    # <a, d_a> of a row is <y, d_y> of its token.
    d_scaled = a * (d_y @ np.swapaxes(v, -1, -2) - (y * d_y).sum(-1)[..., None])
    d_s = d_scaled / np.sqrt(q.shape[-1])
    return d_s @ k, np.swapaxes(d_s, -1, -2) @ q, np.swapaxes(a, -1, -2) @ d_y
''',
    "mlp": '''
def mlp(x, params, kit):
    steps = {}
    u, steps["fc1"] = kit.linear(x, params["fc1.weight"], params["fc1.bias"])
    g, steps["gelu"] = kit.gelu(u)
    y, steps["fc2"] = kit.linear(g, params["fc2.weight"], params["fc2.bias"])
    return y, (steps, kit)


def mlp_backward(d_y, saved):
    steps, kit = saved
    d_params = {}
    d = d_y
    for name in ("fc2", "gelu", "fc1"):
        if name == "gelu":
            d = kit.gelu_backward(d, steps[name])
        else:
            d, *both = kit.linear_backward(d, steps[name])
            d_params[f"{name}.weight"], d_params[f"{name}.bias"] = both
    return d, d_params
''',
    "block": '''
def block(x, params, num_heads, kit, skip=1.0):
    saved = {"kit": kit, "skip": skip}
    for norm, name in (("norm1", "attn"), ("norm2", "mlp")):
        inner, saved[norm] = kit.layer_norm(x, params[f"{norm}.weight"], params[f"{norm}.bias"])
        p = part(params, name)
        out, saved[name] = self_attention(inner, p, num_heads, kit) if name == "attn" else mlp(inner, p, kit)
        x = skip * x + out
    return x, saved


def block_backward(d_y, saved):
    d_params = {}
    for norm, name, backward in (("norm2", "mlp", mlp_backward), ("norm1", "attn", self_attention_backward)):
        d_inner, d_branch = backward(d_y, saved[name])
        d_x, d_weight, d_bias = saved["kit"].layer_norm_backward(d_inner, saved[norm])
        d_y = saved["skip"] * d_y + d_x
        d_params[f"{norm}.weight"], d_params[f"{norm}.bias"] = d_weight, d_bias
        for key, value in d_branch.items():
            d_params[f"{name}.{key}"] = value
    return d_y, d_params
''',
    "carry": '''
def carry(x, d_top, blocks, num_heads, kit, skip):
    if not blocks:
        return d_top
    first, *rest = blocks
    y, saved = block(x, first, num_heads, kit, skip)
    return block_backward(carry(y, d_top, rest, num_heads, kit, skip), saved)[0]
''',
}

WRONG = {
    # The bias gets the mean over tokens instead of the sum. Output and d_x are right: 1 of 2.
    "linear": '''
def linear(x, weight, bias):
    return x @ weight.T + bias, (x, weight)


def linear_backward(d_y, saved):
    x, weight = saved
    rows, d_rows = x.reshape(-1, x.shape[-1]), d_y.reshape(-1, d_y.shape[-1])
    return d_y @ weight, d_rows.T @ rows, d_rows.mean(axis=0)
''',
    # It takes mean and deviation for constants. Output and weights are right: 2 of 3.
    "layer_norm": '''
def layer_norm(x, weight, bias):
    centred = x - x.mean(axis=-1, keepdims=True)
    s = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return centred / s * weight + bias, (centred / s, s, weight)


def layer_norm_backward(d_y, saved):
    x_hat, s, weight = saved
    rows = tuple(range(d_y.ndim - 1))
    return d_y * weight / s, (d_y * x_hat).sum(axis=rows), d_y.sum(axis=rows)
''',
    # The slope of GELU is taken to be Φ: the second term of the product rule is missing. 1 of 2.
    "gelu": '''
def gelu(u):
    share = 0.5 + 0.5 * erf(u / np.sqrt(2))
    return u * share, share


def gelu_backward(d_g, share):
    return d_g * share
''',
    # The scale is forgotten on the way back. Output and d_v are right: 1 of 2.
    "attend": '''
def attend(q, k, v):
    maps = softmax(q @ k.swapaxes(-1, -2), q.shape[-1] ** -0.5)
    return maps @ v, (q, k, v, maps)


def attend_backward(d_y, saved):
    q, k, v, maps = saved
    d_maps = d_y @ v.swapaxes(-1, -2)
    d_scores = maps * (d_maps - (maps * d_maps).sum(axis=-1, keepdims=True))
    d_k = d_scores.swapaxes(-1, -2) @ q
    return d_scores @ k, d_k, maps.swapaxes(-1, -2) @ d_y
''',
    # On the way back the second skip is lost, so that everything below it is wrong: 0 of 2. The MLP and self-attention
    # in it are right, and earn their 2 marks although linear layers, GELU and attention above are wrong.
    "block": '''
def block(x, params, num_heads, kit, skip=1.0):
    inner, first = kit.layer_norm(x, params["norm1.weight"], params["norm1.bias"])
    mixed, attn = self_attention(inner, part(params, "attn"), num_heads, kit)
    middle = skip * x + mixed
    inner, second = kit.layer_norm(middle, params["norm2.weight"], params["norm2.bias"])
    thought, bent = mlp(inner, part(params, "mlp"), kit)
    return skip * middle + thought, (kit, skip, first, attn, second, bent)


def block_backward(d_y, saved):
    kit, skip, first, attn, second, bent = saved
    d_inner, d_mlp = mlp_backward(d_y, bent)
    d_middle, d_w2, d_b2 = kit.layer_norm_backward(d_inner, second)
    d_inner, d_attn = self_attention_backward(d_middle, attn)
    d_branch, d_w1, d_b1 = kit.layer_norm_backward(d_inner, first)
    d_params = {"norm1.weight": d_w1, "norm1.bias": d_b1, "norm2.weight": d_w2, "norm2.bias": d_b2}
    d_params |= {f"attn.{name}": d for name, d in d_attn.items()}
    d_params |= {f"mlp.{name}": d for name, d in d_mlp.items()}
    return skip * d_middle + d_branch, d_params
''',
    # Right, although the block is wrong: the stack is judged with right blocks. 1 of 1.
    "carry": '''
def carry(x, d_top, blocks, num_heads, kit, skip):
    saved = []
    for params in blocks:
        x, box = block(x, params, num_heads, kit, skip)
        saved.append(box)
    while saved:
        d_top, _ = block_backward(d_top, saved.pop())
    return d_top
''',
}

ALL = {"test_linear": 1, "test_linear_weights": 1, "test_norm": 1, "test_norm_input": 1, "test_norm_weights": 1,
       "test_gelu": 1, "test_gelu_backward": 1, "test_attend": 1, "test_attend_scores": 1, "test_mlp": 1,
       "test_self_attention": 1, "test_block": 1, "test_block_weights": 1, "test_carry": 1}

MARKS = {
    "perfect": ALL,
    "other": ALL,
    "empty": dict.fromkeys(ALL, 0),
    "wrong": ALL | dict.fromkeys(["test_linear_weights", "test_norm_input", "test_gelu_backward", "test_attend_scores",
                                  "test_block", "test_block_weights"], 0),
}
