"""The numbers of live figures, as a browser computes them, are minivit's."""

import re
from math import log, sqrt
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

import minivit.bench.plan
from minivit.analysis import attention_macs, attention_similarity, break_even_tokens, diagonality_loss
from minivit.scratch import context_broadcast, patchify, softmax, softmax_jacobian_nuclear_norm
from tests.browser.reading import numbers, put, said
from tests.figures.live_data import DATA, LINKS, MANY_SCORES, PICTURE, PLAN, SCORES, SIGNS, SPEEDS, VALUES, trained_maps

pytestmark = pytest.mark.browser


def entropy(a):
    return -(a * np.log(np.maximum(a, 1e-300))).sum(axis=-1)


def test_softmax_of_three(figure):
    page = figure("softmax")
    for s, scale in (((2.0, 1.0, -1.0), 1.0), ((2.0, -0.5, 3.0), 0.5), ((-4.0, 4.0, -4.0), 4.0)):
        put(page, dict(zip(("score s₁", "score s₂", "score s₃", "scale λ"), (*s, scale), strict=True)))
        a = softmax(np.array(s), scale)
        norm = scale * softmax_jacobian_nuclear_norm(a)
        assert numbers(page) == pytest.approx([*a, entropy(a), log(3), norm, 2 / 3 * scale], abs=6e-4)


def test_temperature(figure):
    page = figure("temperature")
    for at in (-3, -0.5, 1.5):
        put(page, {"scale λ": at})
        a = softmax(SCORES, 2**at)
        bracket = softmax_jacobian_nuclear_norm(a)
        assert numbers(page) == pytest.approx([entropy(a) / log(6), 2**at * bracket, bracket], abs=6e-4)


def test_entropy_against_the_scale(figure):
    page = figure("entropy")
    for at in (-2, 0, 2.5):
        put(page, {"scale λ": at})
        nats = entropy(softmax(MANY_SCORES, 2**at))
        assert numbers(page) == pytest.approx([nats, log(65), np.exp(nats), 65, log(65) - nats,
                                               (2**at * MANY_SCORES).var() / 2], rel=1e-3, abs=6e-4)


def mean_cosine(tokens):
    units = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    return (units @ units.T)[~np.eye(len(units), dtype=bool)].mean()


def test_powers_of_context_broadcasting(figure):
    page = figure("averaging")
    start = patchify(PICTURE[None] / 255, 4)
    for k in (0, 3, 12):
        put(page, {"times k": k})
        alone = around = start
        for _ in range(k):
            alone, around = context_broadcast(alone), (around + context_broadcast(around)) / 2
        matrix = np.linalg.matrix_power(context_broadcast(np.eye(64)[None])[0], k)
        left = [100 * np.linalg.norm(x - x.mean(1)) / np.linalg.norm(start - start.mean(1)) for x in (alone, around)]
        assert numbers(page)[:3:2] == pytest.approx(left, abs=0.051)
        rest = [mean_cosine(alone[0]), mean_cosine(around[0]), matrix[0, 0], matrix[0, 1]]
        assert numbers(page)[1:4:2] + numbers(page)[4:] == pytest.approx(rest, abs=6e-4)
    put(page, {"share of the mean": 1})
    assert numbers(page)[0] == 0


@pytest.mark.parametrize("heads, size, at", [(6, 64, 7.615), (3, 64, 5.5), (1, 16, 4), (32, 128, 11)])
def test_break_even(figure, heads, size, at):
    page = figure("break_even")
    put(page, {"heads H": heads, "size of a head D": size, "tokens N": at})
    n, dim = round(2**at), heads * size
    va, la = attention_macs("va", n, dim, heads), attention_macs("la", n, dim, heads)
    block = 12 * n * dim**2 + 2 * n**2 * dim
    low, factors = attention_macs("la", n, dim, heads, rank=size // 4), attention_macs("la_factors", n, dim, heads)
    saved = [abs(100 * (va - la) / whole) for whole in (va, block)]
    found, pays = numbers(page), [break_even_tokens(dim, heads, kind=kind) for kind in ("la", "la_factors")]
    assert found[:7] == pytest.approx([dim, pays[0], n, va / 1e6, la / 1e6, *saved], abs=0.051)
    assert found[7:] == pytest.approx([low / 1e6, factors / 1e6, pays[1]], abs=0.0051)
    assert ("saves" in said(page)) == (n < break_even_tokens(dim, heads))


def test_the_planner_plans_as_the_command_does(figure, monkeypatch):
    monkeypatch.setattr(minivit.bench.plan, "memory", lambda *_: ({}, SimpleNamespace(params=1, macs=1)))
    page = figure("planner")
    for gpus, cores, epochs in ((8, 12, 300), (1, 64, 90), (16, 1, 300)):
        put(page, {"GPUs": np.log2(gpus), "cores for each GPU": cores, "epochs": epochs})
        wanted = []
        for speed in SPEEDS.values():
            config = minivit.bench.plan.Config(dataset="imagefolder", epochs=epochs, batch_size=PLAN["batch_size"])
            each = minivit.bench.plan.plan(config, images_per_second=speed, gpus=gpus, decode_per_core=PLAN["per_core"],
                                           cores=cores * gpus, price=PLAN["price"], watts=PLAN["watts"])
            wanted += [each["hours"]["total"], each["energy_kwh"], each["cost"], 100 * each["gpus_wait"]]
        assert numbers(page) == pytest.approx(wanted, abs=0.051)


@pytest.mark.parametrize("p", [2, 4, 7])
def test_the_ring_adds_up(figure, p):
    page = figure("ring")
    put(page, {"processes n": p})
    vectors = [np.ones(p) for _ in range(p)]
    for t in range(2 * (p - 1) + 1):
        put(page, {"step": t})
        complete = sum(int((vector == p).sum()) for vector in vectors)
        assert numbers(page) == pytest.approx([t, 2 * (p - 1), complete, p * p, t / p, 2 * (p - 1) / p], abs=6e-4)
        sent = [vector[(r - t) % p] for r, vector in enumerate(vectors)]
        for r, chunk in enumerate(sent):
            right, c = (r + 1) % p, (r - t) % p
            vectors[right][c] = chunk + (vectors[right][c] if t < p - 1 else 0)
    assert "done" in said(page)


def share(t, links, p, buckets, slow=False, ring=False):
    """Return the share of computing by equations (7) to (9) of the chapter, bucket by bucket."""
    def around(p, n, alpha, beta):
        return 2 * (p - 1) * (alpha + n / (p * beta))

    n, (alpha, beta) = DATA["computing"]["gradient"] / buckets, links["slow" if slow else "fast"]
    if ring:
        wire = around(p, n, *(links["inside"] if p <= 8 else (alpha, beta)))
    else:
        wire = around(min(p, 8), n, *links["inside"])
        wire += around(max(1, p // 8), n / min(p, 8), alpha, beta / (8 if slow else 1))
    free = 0
    for i in range(1, buckets + 1):  # they queue for the wire
        free = max(free, t / 3 + 2 * t / 3 * i / buckets) + wire
    return 100 * t / free


def test_computing_and_talking(figure):
    page = figure("computing")
    for images, buckets, gpus in ((64, 14, 64), (8, 3, 1024), (512, 64, 2)):
        put(page, {"images a GPU in a step": log(images, 2), "buckets": buckets, "GPUs to read off": log(gpus, 2)})
        t = images / DATA["computing"]["speed"]
        wanted = [images, 1e3 * t, gpus]
        for way in ({}, {"ring": True}, {"slow": True}):
            wanted += [share(t, LINKS, gpus, 1, **way), share(t, LINKS, gpus, buckets, **way), buckets]
        assert numbers(page) == pytest.approx(wanted, abs=0.051)


def test_patches(figure):
    page = figure("patches")
    for i, p in enumerate((1, 2, 4, 8, 16, 32)):
        put(page, {"patch size P [pixels]": i})
        tokens = patchify(PICTURE[None], p)
        assert numbers(page) == [tokens.shape[1], tokens.shape[2], tokens.shape[1] ** 2]


def test_softmax_over_keys_that_arrive(figure):
    page = figure("online")
    final = softmax(MANY_SCORES) @ VALUES
    for blocks, n in ((1, 8), (4, 32), (9, 65)):
        put(page, {"keys read": blocks})
        s = MANY_SCORES[:n]
        off = np.abs(softmax(s) @ VALUES[:n] - final).max()
        assert numbers(page) == pytest.approx([s.max(), np.exp(s - s.max()).sum(), off], abs=6e-4)


def test_the_explorer_shows_where_heads_look(figure):
    page, maps = figure("attention"), trained_maps()
    for row, column, layer, head in ((4, 4, 6, 1), (1, 8, 1, 4), (8, 3, 5, 2)):
        put(page, {"row of the patch": row, "column of the patch": column, "layer": layer, "head": head})
        for line, layers in zip(said(page).splitlines()[1:], maps.values(), strict=True):
            a = layers[layer - 1][head - 1, (row - 1) * 8 + column].double().numpy()
            effective, most, on_class = (float(n) for n in re.findall(r"(\d+\.\d) (?:effective|%)", line))
            assert effective == pytest.approx(np.exp(entropy(a)), rel=0.03)
            for shown, weight in ((most, 100 * a.max()), (on_class, 100 * a[0])):  # within 9 %, and rounded
                assert shown == pytest.approx(weight, abs=0.051 + 0.11 * weight)


def test_the_size_of_a_head(figure):
    page = figure("head_size")
    products = DATA["head_size"]["products"]
    for at in (0, 3.3, 7):
        put(page, {"head size D": at})
        scores = products[:, :round(2**at)].sum(axis=1)
        rows = softmax(scores), softmax(scores, 1 / sqrt(round(2**at)))
        wanted = [n for a in rows for n in (a.max(), entropy(a), log(16))]
        assert numbers(page) == pytest.approx(wanted, abs=6e-4)


@pytest.mark.parametrize("n, effect, sd", [(2, 0.7, 0.7), (3, 0.0, 1.5), (10, 0.5, 0.5), (30, 2.0, 4.0)])
def test_power(figure, n, effect, sd):
    page = figure("power")
    put(page, {"pairs n": n, "true difference [points]": effect, "standard deviation [points]": sd})
    t = stats.t.ppf(0.975, n - 1)
    assert numbers(page) == pytest.approx([t, stats.nct.sf(t, n - 1, sqrt(n) * effect / sd)], abs=1.5e-3)


def test_similarity_of_random_maps(figure):
    page = figure("similarity")
    for at in (-4, -1, 2):
        put(page, {"scale λ": at})
        maps = [torch.from_numpy(softmax(s, 2**at))[None, None] for s in DATA["similarity"]["scores"]]
        raw, centred = (float(attention_similarity(maps, centred=c)[0, 0]) for c in (False, True))
        floor = 1 / np.prod([float(a.square().sum().sqrt()) for a in maps])
        assert numbers(page) == pytest.approx([raw, floor, centred], abs=6e-4)


def grid_scores(side):
    place = np.stack(np.mgrid[:side, :side], axis=-1).reshape(-1, 2)
    return place, -((place[:, None] - place) ** 2).sum(axis=-1).astype(float)


def test_from_the_identity_to_a_shift(figure):
    page = figure("between")
    place, scores = grid_scores(7)
    shift = np.eye(49)[place[:, 0] * 7 + (place[:, 1] - 2) % 7]
    for t, row, column in ((0, 4, 4), (0.5, 2, 3), (1, 7, 7)):
        put(page, {"t, from identity to shift": t, "row of the query": row, "column of the query": column})
        a = softmax(scores / 2 @ ((1 - t) * np.eye(49) + t * shift).T)[(row - 1) * 7 + column - 1]
        assert numbers(page) == pytest.approx([*(a @ place + 1), a.max()], abs=6e-3)


def test_three_ways_to_make_attention_denser(figure):
    page = figure("share")
    _, scores = grid_scores(7)
    scores[:, 3::7] += 3
    for u in (0, 0.4, 1):
        put(page, {"share u": u})
        mean = (1 - u) * np.eye(49) + u / 49
        ways = softmax(scores @ mean.T), softmax(mean @ scores), (1 - u) * softmax(scores) + u / 49
        assert numbers(page) == pytest.approx([49, *(np.exp(entropy(a)).mean() for a in ways)], abs=0.051)


def test_descent_on_two_losses(figure):
    page = figure("descent")
    put(page, {"learning rate": 0.03})
    for at in (0, 3, 10):
        put(page, {"steps": at})
        wanted = [at**2]
        for form, factor in (("printed", 1), ("bounded", 256)):
            scores = torch.from_numpy(DATA["descent"]["scores"])
            for _ in range(at**2):
                scores.requires_grad_()
                (slope,) = torch.autograd.grad(factor * diagonality_loss(scores.softmax(-1), form), scores)
                scores = (scores - 0.03 * slope).detach()
            wanted.append(float(scores.softmax(-1).diagonal().mean()))
        assert numbers(page) == pytest.approx(wanted, abs=2e-3)


def test_an_attack(figure):
    page = figure("attack")
    for epsilon, kept in ((0.25, (97, 98)), (4, (10, 20)), (16, (0, 0))):
        put(page, {"ε [levels of 255]": epsilon})
        changed = np.abs(np.clip(PICTURE + epsilon * SIGNS, 0, 255) - PICTURE).mean()
        assert numbers(page) == pytest.approx([changed, 255, epsilon, *kept], abs=6e-3)


def test_skips_of_every_strength(figure):
    page = figure("skip")
    for i, (plain, cb) in enumerate([("1.0e-15", "1.0e-15"), ("6.3e-8", "4.4e-10"), ("5.8e-1", "4.9e-1")]):
        put(page, {"strength of the skip α": i})
        distances = DATA["skip"]["distances"][i]
        assert f"plain {plain}, CB {cb}" in said(page)
        assert float(said(page).split()[-1]) == pytest.approx(distances.sum() / 17 / 16, rel=0.06)


def test_the_roofline(figure):
    page = figure("roofline")
    for i, (batch, points) in enumerate(DATA["roofline"]["points"].items()):
        put(page, {"images in the batch": i})
        wanted = [batch, batch * 65]
        for intensity, speed in points.values():
            wanted += [intensity, 100 * speed / min(5e10, 1e10 * intensity)]
        assert numbers(page) == pytest.approx(wanted, abs=0.51)


def test_few_digits(figure):
    page = figure("rounding")
    data = DATA["rounding"]
    for i, (z, right) in enumerate(zip(data["rounded"], data["right"], strict=True)):
        put(page, {"mantissa digits": i})
        error = np.linalg.norm(z - data["exact"]) / np.linalg.norm(data["exact"])
        assert numbers(page) == pytest.approx([error, right], rel=0.05)


def test_a_fitted_map(figure):
    page = figure("fitted")
    for i, found in enumerate(DATA["fitted"]["found"]):
        put(page, {"head size D": i})
        assert numbers(page) == pytest.approx([100 * np.abs(found - np.eye(7)).sum() / 7 / 2], abs=0.051)
