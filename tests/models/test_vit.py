import pytest
import torch
import torch.nn.functional as F
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounter

from minivit.layers import CONTEXTS
from minivit.mixers import Factors
from minivit.models import ViT, create_model, list_models

SMALL = dict(image_size=35, patch_size=5, num_classes=11, dim=21, depth=5, num_heads=3)
B, H, N = 2, 3, 50


def make(**options):
    torch.manual_seed(0)
    return ViT(**SMALL | options)


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(B, 3, 35, 35)


@pytest.mark.parametrize("name, params", [
    # The paper's table 5 gives 5.7, 22.0 (22.05) and 86.6 million.
    ("vit_tiny_patch16_224", 5.7), ("vit_small_patch16_224", 22.1), ("vit_base_patch16_224", 86.6),
])
def test_published_sizes(name, params):
    with torch.device("meta"):
        model = create_model(name)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == params


def test_the_six_names():
    assert set(list_models()) >= {"vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224",
                                  "vit_nano_patch4_32", "vit_tiny_patch4_32", "vit_small_patch4_32"}


def test_state_dict_is_timms():
    with torch.device("meta"):
        model = create_model("vit_tiny_patch16_224")
    c = 192
    want = {"cls_token": (1, 1, c), "pos_embed": (1, 197, c), "patch_embed.proj.weight": (c, 3, 16, 16),
            "patch_embed.proj.bias": (c,), "norm.weight": (c,), "norm.bias": (c,), "head.weight": (1000, c),
            "head.bias": (1000,)}
    for i in range(12):
        for name, shape in {"norm1.weight": (c,), "norm1.bias": (c,), "attn.qkv.weight": (3 * c, c),
                            "attn.qkv.bias": (3 * c,), "attn.proj.weight": (c, c), "attn.proj.bias": (c,),
                            "norm2.weight": (c,), "norm2.bias": (c,), "mlp.fc1.weight": (4 * c, c),
                            "mlp.fc1.bias": (4 * c,), "mlp.fc2.weight": (c, 4 * c), "mlp.fc2.bias": (c,)}.items():
            want[f"blocks.{i}.{name}"] = shape
    assert {name: tuple(p.shape) for name, p in model.state_dict().items()} == want


def test_same_logits_with_and_without_maps(images):
    model = make(context="cb").eval()
    logits, maps = model(images, return_attention=True)
    assert logits.shape == (B, 11)
    assert [a.shape for a in maps] == [(B, H, N, N)] * 5
    torch.testing.assert_close(torch.stack(maps).sum(-1), torch.ones(5, B, H, N))
    torch.testing.assert_close(model(images), logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layers, where", [
    ("upper", {2, 3, 4}), ("all", {0, 1, 2, 3, 4}), ((1, 3), {1, 3}), ([], set()),
])
@pytest.mark.parametrize("position, size", [("mlp_end", 21), ("mlp_mid", 84), ("both", 42)])
def test_cb_adds_nothing_and_cb_s_one_vector_where_it_stands(layers, where, position, size):
    plain, cb, cb_s = (make(context=context, context_layers=layers, context_position=position)
                       for context in ("none", "cb", "cb_s"))
    assert plain.state_dict().keys() == cb.state_dict().keys()
    new = cb_s.state_dict().keys() - plain.state_dict().keys()
    assert {int(name.split(".")[1]) for name in new} == where
    assert sum(cb_s.state_dict()[name].numel() for name in new) == size * len(where)


def test_models_that_differ_in_context_start_from_the_same_weights(images):
    models = {context: make(context=context) for context in CONTEXTS}
    plain = models["none"]
    for model in models.values():
        state = model.state_dict()
        assert all(torch.equal(weight, state[name]) for name, weight in plain.state_dict().items())
    assert torch.equal(plain(images), models["cb_s"](images))
    assert not torch.allclose(plain(images), models["cb"](images))


@pytest.mark.parametrize("how, dim, heads, hidden", [
    ("replace", 21, 3, 84), ("matched", 21, 3, 91), ("append", 28, 4, 112),
])
def test_a_uniform_head_in_every_block(images, how, dim, heads, hidden):
    model = make(uniform_head=how)
    assert all(block.mlp.fc1.weight.shape == (hidden, dim) for block in model.blocks)
    logits, maps = model(images, return_attention=True)
    torch.testing.assert_close(logits, model(images))
    assert all(attention.shape == (B, heads, N, N) for attention in maps)
    assert all((attention[:, -1] == 1 / N).all() for attention in maps)


@pytest.mark.parametrize("extra, name, maps", [
    ("msa", "blocks.5.attn.qkv.weight", 6), ("mlp", "blocks.5.mlp.fc1.weight", 5),
])
def test_an_extra_block_comes_last_and_the_others_are_as_they_were(images, extra, name, maps):
    plain, model = make(), make(extra_block=extra)
    assert name in model.state_dict() and len(model.blocks) == 6
    assert len(model(images, return_attention=True)[1]) == maps
    state = model.state_dict()
    assert all(torch.equal(weight, state[key]) for key, weight in plain.state_dict().items())
    assert all(key.startswith("blocks.5.") for key in state.keys() - plain.state_dict().keys())
    assert 0.015 < state[name].std() < 0.025


def test_the_head_reads_the_class_token_or_the_mean_patch(images):
    token, avg = make(), make(global_pool="avg")
    avg.load_state_dict(token.state_dict())
    x = token.forward_features(images)
    torch.testing.assert_close(token(images), token.head(x[:, 0]))
    torch.testing.assert_close(avg(images), token.head(x[:, 1:].mean(1)))


def test_sine_positions_are_fixed_and_leave_the_keys(images):
    learned, sine = (make(dim=24, positions=positions) for positions in ("learned", "sine"))
    assert sine.state_dict().keys() == learned.state_dict().keys()
    assert "pos_embed" not in dict(sine.named_parameters())
    assert not sine.pos_embed[:, 0].any()  # the class token has no place
    sine.load_state_dict(learned.state_dict())
    torch.testing.assert_close(sine(images), learned(images))


def test_weights_of_a_plain_model_load_into_one_with_cb(images):
    plain, cb = make(), create_model("vit_nano_patch4_32", **SMALL, context="cb", context_layers=[])
    cb.load_state_dict(plain.state_dict())
    torch.testing.assert_close(cb(images), plain(images))


def test_bf16_autocast_stays_close(images):
    model = make(context="cb_s").eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    torch.testing.assert_close(logits.float(), model(images), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name, options, message", [
    ("vit_smal_patch4_32", {}, "name='vit_smal_patch4_32'.*did you mean 'vit_small_patch4_32'"),
    ("vit_nano_patch4_32", {"contxt": "cb"}, "contxt='cb'.*did you mean 'context'"),
    ("vit_nano_patch4_32", {"context": "cbs"}, "context='cbs'.*none, cb, cb_s"),
    ("vit_nano_patch4_32", {"context": None}, "context=None.*string"),
    ("vit_nano_patch4_32", {"context_position": "end"}, "context_position='end'.*mlp_end"),
    ("vit_nano_patch4_32", {"context_layers": "lower"}, r"context_layers='lower'.*\[0, 6\)"),
    ("vit_nano_patch4_32", {"context_layers": [0, 6]}, r"context_layers=\[0, 6\].*\[0, 6\)"),
    ("vit_nano_patch4_32", {"context_layers": [-1]}, r"context_layers=\[-1\]"),
    ("vit_nano_patch4_32", {"uniform_head": "A"}, "uniform_head='A'.*none, replace, matched, append"),
    ("vit_nano_patch4_32", {"uniform_head": "replace", "num_heads": 1}, "num_heads=1 must be at least 2"),
    ("vit_nano_patch4_32", {"extra_block": "attn"}, "extra_block='attn'.*none, msa, mlp"),
    ("vit_nano_patch4_32", {"global_pool": "mean"}, "global_pool='mean'.*token, avg"),
    ("vit_nano_patch4_32", {"positions": "sin"}, "positions='sin'.*learned, sine"),
    ("vit_nano_patch4_32", {"positions": "sine", "dim": 126, "num_heads": 3}, "dim=126 must be a multiple of 4"),
    ("vit_nano_patch4_32", {"depth": "6"}, "depth='6'.*integer"),
    ("vit_nano_patch4_32", {"depth": 0}, "depth=0"),
    ("vit_nano_patch4_32", {"num_classes": -1}, "num_classes=-1"),
    ("vit_nano_patch4_32", {"drop_path": 1.0}, "drop_path=1.0"),
    ("vit_nano_patch4_32", {"patch_size": 5}, "patch_size=5.*image_size=32"),
    ("vit_nano_patch4_32", {"num_heads": 5}, "dim=128.*num_heads=5"),
])
def test_bad_arguments_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **options)


def disturbed(model):
    """Move every weight: what starts at the identity would hide a mistake."""
    torch.manual_seed(2)
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return model


@pytest.mark.parametrize("options", [{}, {"less_attention_form": "factors"}, {"less_attention_rank": 3}])
def test_less_attention_starts_by_repeating_the_map_below(images, options):
    _, maps = make(attention_layers=[0, 3], **options)(images, return_attention=True)
    assert list(make(attention_layers=[0, 3]).map_losses) == [1, 2, 4]
    for layer, below in ((1, 0), (2, 0), (4, 3)):
        torch.testing.assert_close(maps[layer], maps[below], atol=1e-6, rtol=0)
    assert not torch.allclose(maps[3], maps[2], atol=1e-6)


def test_biases_are_left_out_of_every_kind_of_attention():
    model = make(attention_layers=[0], qkv_bias=False)
    assert model.blocks[0].attn.qkv.bias is None and model.blocks[1].attn.v.bias is None


@pytest.mark.parametrize("rank", [None, 3])
def test_scores_and_factors_are_the_same_model(images, rank):
    options = dict(attention_layers=[0, 3], context="cb", drop_path=0.1, less_attention_rank=rank)
    scores = disturbed(make(**options)).eval()
    factors = make(**options, less_attention_form="factors").eval()
    factors.load_state_dict(scores.state_dict())
    logits, maps = scores(images, return_attention=True)
    for model in (scores, factors):
        got, its_maps = model(images, return_attention=True)
        torch.testing.assert_close(got, logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model(images), logits, atol=1e-4, rtol=1e-4)
        for one, other in zip(its_maps, maps, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_the_scores_are_handed_from_block_to_block(images):
    model = disturbed(make(attention_layers=[0, 2])).eval()
    x = model.patch_embed(images) + model.pos_embed[:, 1:]
    x = torch.cat([(model.cls_token + model.pos_embed[:, :1]).expand(B, -1, -1), x], dim=1)
    first, second, third, fourth, fifth = model.blocks
    x, scores = first(x, return_scores=True)
    x = second(x, scores)
    x, scores = third(x, return_scores=True)
    x, scores = fourth(x, scores, return_scores=True)
    x = fifth(x, scores)
    torch.testing.assert_close(model(images), model.head(model.norm(x)[:, 0]), atol=1e-5, rtol=1e-5)


def test_scores_are_written_only_where_a_layer_above_needs_them_and_once(images, monkeypatch):
    written, fused = [], []
    monkeypatch.setattr(Factors, "product", lambda self, product=Factors.product: (
        written.extend([1] * (self.scores is None)) or product(self)))
    monkeypatch.setattr(F, "scaled_dot_product_attention",
                        lambda *args, kernel=F.scaled_dot_product_attention, **options: (
                            fused.append(1) or kernel(*args, **options)))
    less = {"attention_layers": [0, 3]}  # layers 0 and 3 have one above them that transforms; there are 5
    for options, maps, products, kernels in (
            ({}, False, 0, 5), (less, False, 2, 0), (less | {"less_attention_form": "factors"}, False, 0, 5),
            ({}, True, 5, 0), (less, True, 2, 0), (less | {"less_attention_form": "factors"}, True, 5, 0)):
        written.clear(), fused.clear()
        make(**options)(images, return_attention=maps)
        assert (len(written), len(fused)) == (products, kernels)


@torch.no_grad()
@pytest.mark.parametrize("options, kinds", [({}, 1), ({"context": "cb"}, 2),
                                             ({"attention_layers": [0, 3]}, 4)])  # some hand their scores up
def test_blocks_of_one_kind_are_compiled_once(images, options, kinds):
    torch._dynamo.reset()
    compiled = CompileCounter()
    model = make(**options).eval()
    want = model(images)
    for block in model.blocks:
        block.compile(fullgraph=True, backend=compiled)
    torch.testing.assert_close(model(images), want)
    assert compiled.frame_count == kinds


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch.compile looks at it
def test_a_compiled_block_computes_no_gradients_of_scores_that_nobody_takes(images):
    torch._dynamo.reset()
    gradients = []

    def forward(graph, _):
        return make_boxed_func(graph.forward)

    def backward(graph, _):
        gradients.append(sum(node.name.startswith("tangents") for node in graph.graph.nodes))
        return make_boxed_func(graph.forward)

    model = make().train()
    for block in model.blocks:
        block.compile(backend=aot_autograd(fw_compiler=forward, bw_compiler=backward))
    model(images).sum().backward()
    assert gradients and set(gradients) == {1}  # that of the tokens


def test_residual_attention_through_the_layers(images):
    model = disturbed(make(mixer_options={"residual": True})).eval()
    plain = make().eval()
    plain.load_state_dict(model.state_dict())
    _, maps = model(images, return_attention=True)
    x = plain.patch_embed(images) + plain.pos_embed[:, 1:]
    x = torch.cat([(plain.cls_token + plain.pos_embed[:, :1]).expand(B, -1, -1), x], dim=1)
    total, scores = 0, None
    for i, block in enumerate(model.blocks):
        _, own = plain.blocks[i].attn(block.norm1(x), return_scores=True)
        x, scores = block(x, scores, return_scores=True)
        total = total + own.product()
        torch.testing.assert_close(maps[i], total.softmax(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(model(images), model.head(model.norm(x)[:, 0]), atol=1e-5, rtol=1e-5)


def test_less_attention_in_bfloat16_and_with_drop_path(images):
    model = make(attention_layers=[0], context="cb_s", drop_path=0.5, dropout=0.1).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(images).float().square().mean()
    loss.backward()
    assert loss.isfinite() and all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("options, message", [
    ({"attention_layers": [1, 2]}, r"attention_layers=\[1, 2\].*layer 0"),
    ({"attention_layers": []}, r"attention_layers=\[\].*layer 0"),
    ({"attention_layers": [0, 5]}, r"attention_layers=\[0, 5\].*\[0, 5\)"),
    ({"attention_layers": "upper"}, "attention_layers='upper'.*layer 0"),
    ({"attention_layers": [0], "uniform_head": "replace"}, r"attention_layers=\[0\].*uniform_head='replace'"),
    ({"attention_layers": [0], "less_attention_rank": 50}, r"rank=50.*\[1, 50\)"),
    ({"less_attention_rank": 4}, "less_attention_rank=4 and attention_layers='all' do not go together"),
    ({"less_attention_form": "factors"}, "less_attention_form='factors' and attention_layers='all' do not go together"),
    ({"uniform_head": "append", "mixer_options": {"qkv_bias": False}}, "uniform_head='append' and mixer_options="),
    ({"less_attention_form": "product"}, "less_attention_form='product'.*scores, factors"),
])
def test_wrong_use_of_less_attention_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
