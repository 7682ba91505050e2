"""What must hold for every mixer: a new one is tested as soon as it is in the table."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from minivit.analysis import cost
from minivit.layers import Block
from minivit.mixers import MIXERS, MapMixer, TokenMixer, create_mixer, register_mixer
from minivit.mixers.scores import Scores
from minivit.models import create_model, interpolate_weights
from minivit.models.segmenter import create_segmenter
from minivit.training import Config
from minivit.training.optimizer import create_optimizers

B, C, H, GRID, PREFIX = 3, 14, 2, (5, 7), 1
N = PREFIX + GRID[0] * GRID[1]
NAMES = sorted(MIXERS)
OPTIONS = {"neighbourhood": {"window": (3, 5), "stride": (2, 3)}, "token_mlp": {"hidden_tokens": 11}}
FREE = [name for name in NAMES if not MIXERS[name].takes_scores]  # those that a ViT takes by name
SIZE = {"image_size": (20, 28), "patch_size": 4, "dim": C, "depth": 2, "num_heads": H, "num_classes": 3}


def make(name, grid=GRID, prefix_tokens=PREFIX):
    torch.manual_seed(0)
    return create_mixer(name, C, H, grid=grid, prefix_tokens=prefix_tokens, options=OPTIONS.get(name))


def below(mixer, tokens=N, dtype=torch.float32):
    """Return scores for a mixer that takes them."""
    torch.manual_seed(1)
    return [torch.randn(B, H, tokens, tokens, dtype=dtype)] if mixer.takes_scores else []


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def x():
    torch.manual_seed(2)
    return torch.randn(B, N, C)


def test_tokens_to_tokens_and_a_gradient_for_every_parameter(name, x):
    mixer = make(name)
    out = mixer(x.requires_grad_(), *below(mixer))
    assert out.shape == (B, N, C) and isinstance(mixer, TokenMixer)
    (out * torch.randn_like(out)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in mixer.parameters()) and x.grad.any()


def test_images_of_a_batch_do_not_see_each_other(name, x):
    mixer, other = make(name), x.clone()
    other[1] += 1
    one, two = (mixer(tokens, *below(mixer)) for tokens in (x, other))
    assert torch.equal(one[[0, 2]], two[[0, 2]]) and not torch.equal(one[1], two[1])


@pytest.mark.parametrize("prefix_tokens", [1, 2])
def test_tokens_without_a_place_read_all_patches_in_one_layer(name, prefix_tokens):
    mixer, tokens = make(name, prefix_tokens=prefix_tokens), prefix_tokens + GRID[0] * GRID[1]
    x = torch.randn(B, tokens, C, requires_grad=True)
    for token in range(prefix_tokens):
        grad, = torch.autograd.grad(mixer(x, *below(mixer, tokens))[:, token].square().sum(), x)
        assert grad[:, prefix_tokens:].abs().sum(-1).gt(0).all()


def test_a_map_is_what_it_says(name, x):
    mixer = make(name)
    if not mixer.has_map:
        assert mixer(x).shape == x.shape and not hasattr(mixer, "mix")
        return
    out, maps = mixer(x, *below(mixer), return_attention=True)
    torch.testing.assert_close(out, mixer(x, *below(mixer)))
    assert maps.shape == (B, H, N, N) and (maps >= 0).all()
    torch.testing.assert_close(maps.sum(-1), torch.ones(B, H, N))
    same, lazy = mixer(x, *below(mixer), return_scores=True)
    torch.testing.assert_close(same, out)
    torch.testing.assert_close(lazy.map(), maps)
    assert isinstance(lazy, Scores) is (name in ("attention", "less_attention"))
    if isinstance(lazy, Scores):
        assert lazy.shape == maps.shape
        torch.testing.assert_close(lazy.product().softmax(-1), maps)
    assert len(mixer(x, *below(mixer), return_attention=True, return_scores=True)) == 3


def test_scores_are_refused_where_they_would_do_nothing(name, x):
    mixer = make(name)
    if mixer.has_map and not mixer.takes_scores:
        with pytest.raises(ValueError, match=f"scores: this {type(mixer).__name__} doesn't take scores"):
            mixer(x, torch.zeros(B, H, N, N))
    if mixer.takes_scores:
        for other in ("linear", "neighbourhood", "uniform_head"):
            _, lazy = make(other)(x, return_scores=True)
            with pytest.raises(ValueError, match=f"scores={type(lazy).__name__} has a map, but no scores"):
                mixer(x, lazy)


def test_the_state_goes_round(name, x):
    mixer, other = make(name), make(name)
    for p in other.parameters():
        nn.init.zeros_(p)
    assert other.load_state_dict(mixer.state_dict())
    assert torch.equal(other(x, *below(mixer)), mixer(x, *below(mixer)))


def test_bfloat16_stays_and_is_near(name, x):
    mixer = make(name)
    want = mixer(x, *below(mixer))
    got = mixer.bfloat16()(x.bfloat16(), *below(mixer, dtype=torch.bfloat16))
    assert got.dtype == torch.bfloat16 and (got - want).norm() < 0.05 * want.norm()


def test_it_compiles_as_one_graph(name, x):
    torch._dynamo.reset()  # blocks of more than eight kinds would not be compiled
    mixer = make(name)
    compiled = torch.compile(mixer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, *below(mixer)), mixer(x, *below(mixer)))
    block = Block(C, mixer)
    compiled = torch.compile(block, fullgraph=True, backend="eager")
    asks = {"return_attention": True, "return_scores": True} if mixer.has_map else {}
    for asked in ({}, asks):
        for one, other in zip(compiled(x, *below(mixer), **asked), block(x, *below(mixer), **asked), strict=True):
            if isinstance(one, torch.Tensor):
                torch.testing.assert_close(one, other)
            else:
                assert type(one) is type(other) and torch.equal(one.map(), other.map())


def test_weight_decay_pulls_on_matrices_alone(name):
    block = nn.ModuleDict({"blocks": nn.ModuleList([Block(C, make(name))])})
    adamw, *muon = create_optimizers(block, Config(optimizer="muon"))
    decays = {id(p) for group in (adamw.param_groups[0], *(g for o in muon for g in o.param_groups))
              for p in group["params"]}
    assert {id(p) for p in block.blocks[0].attn.matrices()} <= decays
    assert not {id(p) for p in block.parameters() if p.ndim == 1} & decays


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("options", [{}, {"context": "cb_s"}, {"mixer_layers": "upper"}, {"global_pool": "avg"}])
def test_a_vit_takes_it_with_every_context(name, options):
    model = create_model("vit_nano_patch4_32", mixer=name, mixer_options=OPTIONS.get(name), **SIZE | options)
    images = torch.randn(2, 3, 20, 28)
    assert model(images).shape == (2, 3)
    first = "attention" if "mixer_layers" in options else name
    assert [type(block.attn) for block in model.blocks] == [MIXERS[first], MIXERS[name]]


@pytest.mark.parametrize("name", FREE)
def test_weights_are_fitted_to_another_grid(name):
    small, large = (create_model("vit_nano_patch4_32", mixer=name, mixer_options=OPTIONS.get(name),
                                 **SIZE | {"image_size": side}) for side in ((20, 28), (28, 36)))
    weights = interpolate_weights(small.state_dict(), large, grid=GRID)
    assert large.load_state_dict(weights) and large(torch.randn(1, 3, 28, 36)).isfinite().all()
    same = interpolate_weights(small.state_dict(), small, grid=GRID)
    assert all(torch.equal(same[key], weight) for key, weight in small.state_dict().items())


def test_its_cost_is_counted(name):
    if name == "less_attention":
        pytest.skip("counted in test_less_attention.py, where it has its scores")

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.mixer = make(name)

        def forward(self, x):
            return self.mixer(x[0])

    n, d, patches = N, C // H, GRID[0] * GRID[1]
    groups, asks, keys = 3 * 3, 2 * 3, PREFIX + 3 * 5
    attention = 2 * n * n * C
    log = torch.log2(torch.tensor(float(patches))).item()
    want = {
        "attention": 4 * n * C**2 + attention,
        "linear": 4 * n * C**2 + 2 * n * C * d,
        "neighbourhood": 4 * n * C**2 + 2 * PREFIX * n * C + 2 * groups * asks * keys * C,
        # Kernel and patches there, their product, the way back, the mean, and the own value of the prefix.
        "spectral": round(3 * patches * C * log) + GRID[0] * (GRID[1] // 2 + 1) * C + patches * C + C,
        "token_mlp": 2 * n * 11 * C,
        "uniform_head": 3 * n * C * (C - d) + n * C * (C - d) + 2 * n * n * (C - d) + 2 * C * d + n * C,
    }[name]
    images = cost(Alone(), (N, C), in_channels=1)
    assert images.macs == pytest.approx(want, abs=2) if name == "spectral" else images.macs == want


def test_a_mixer_of_ones_own_joins_the_table(monkeypatch):
    monkeypatch.setattr("minivit.mixers.registry.MIXERS", dict(MIXERS))

    @register_mixer("mean")
    class Mean(TokenMixer):
        def __init__(self, dim, num_heads, *, grid, prefix_tokens, gain: float = 1.0):
            super().__init__()
            self.value, self.gain = nn.Linear(dim, dim), gain

        def forward(self, x):
            return self.gain * self.value(x.mean(dim=1, keepdim=True)).expand_as(x)

    model = create_model("vit_nano_patch4_32", mixer="mean", mixer_options={"gain": 0.5}, **SIZE)
    assert model(torch.randn(1, 3, 20, 28)).shape == (1, 3) and model.blocks[0].attn.gain == 0.5
    with pytest.raises(ValueError, match=r"gian=2 is not an option of mixer='mean' \(did you mean 'gain'\?\)"):
        create_model("vit_nano_patch4_32", mixer="mean", mixer_options={"gian": 2}, **SIZE)
    with pytest.raises(ValueError, match="name='attention' is taken by minivit.mixers.attention.Attention"):
        register_mixer("attention")(Mean)
    with pytest.raises(ValueError, match="name='attention' is taken by"):
        register_mixer("attention")(type("Attention", (Mean,), {"__module__": "__main__"}))
    again = type("Mean", (Mean,), {"__module__": Mean.__module__, "__qualname__": Mean.__qualname__})
    assert register_mixer("mean")(again) is again
    with pytest.raises(ValueError, match="must be a class derived from"):
        register_mixer("line")(nn.Linear)
    with pytest.raises(ValueError, match="says has_map=True, so it must be derived from minivit.mixers.MapMixer"):
        register_mixer("mapped")(type("Mapped", (Mean,), {"has_map": True}))


def test_so_does_one_with_a_map(monkeypatch):
    monkeypatch.setattr("minivit.mixers.registry.MIXERS", dict(MIXERS))

    class Itself(NamedTuple):
        x: torch.Tensor

        def map(self):
            return torch.eye(self.x.shape[1]).expand(len(self.x), 1, -1, -1)

    @register_mixer("itself")
    class Alone(MapMixer):
        def __init__(self, dim, num_heads, *, grid, prefix_tokens):
            super().__init__()
            self.value = nn.Linear(dim, dim)

        def mix(self, x, scores=None, *, with_map=False):
            return self.value(x), Itself(x)

    model = create_model("vit_nano_patch4_32", mixer="itself", mixer_layers="upper", **SIZE)
    images = torch.randn(2, 3, 20, 28)
    logits, (attention, own) = model(images, return_attention=True)
    assert torch.equal(own, torch.eye(N).expand(2, 1, -1, -1)) and attention.shape == (2, H, N, N)
    torch.testing.assert_close(model(images), logits)


@pytest.mark.parametrize("options, message", [
    ({"mixer": "linaer"}, r"mixer='linaer' is not known \(did you mean 'linear'\?\); it must be one of attention"),
    ({"mixer": "linear", "uniform_head": "replace"}, "mixer='linear' and uniform_head='replace'"),
    ({"mixer": "spectral", "attention_layers": [0]}, r"mixer='spectral' and attention_layers=\[0\]"),
    ({"mixer": "less_attention"}, "mixer='less_attention' .*attention_layers"),
    ({"mixer": "linear", "mixer_layers": [2]}, r"mixer_layers=\[2\]"),
    ({"mixer": "neighbourhood", "mixer_options": {"window": 2, "stride": 3}}, "stride=3 must be at most window=2"),
    ({"mixer": "neighbourhood", "mixer_options": {"window": "wide"}}, "window='wide'"),
])
def test_what_has_no_meaning_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("vit_nano_patch4_32", **SIZE | options)


def test_layers_without_a_map_are_told_once(caplog):
    images = torch.randn(1, 3, 20, 28)
    model = create_model("vit_nano_patch4_32", mixer="spectral", mixer_layers=[1], **SIZE)
    for _ in range(2):
        logits, maps = model(images, return_attention=True)
        assert len(maps) == 1 and torch.allclose(logits, model(images), atol=1e-5)
    assert [record.getMessage() for record in caplog.records] == [
        "layers 2, counted from 1, have no attention map (SpectralMixer)"]
    without = create_model("vit_nano_patch4_32", mixer="token_mlp", **SIZE)
    for call in (without, without.forward_features, create_segmenter("vit_nano_patch4_32", mixer="token_mlp", **SIZE)):
        with pytest.raises(ValueError, match="no layer of this model has an attention map .TokenMlp."):
            call(images, return_attention=True)


def test_patches_are_dropped_only_where_no_place_is_needed():
    dropping = {name for name in FREE
                if hasattr(create_model("vit_nano_patch4_32", mixer=name, **SIZE).patch_dropout, "rate")}
    assert dropping == {"attention", "linear", "uniform_head"}
