import pytest
import torch
import torch.nn.functional as F

from minivit.models import create_model, keep_classes
from minivit.models.segmenter import create_segmenter

SMALL = {
    "vit_nano_patch4_32": dict(image_size=8, dim=12, depth=2, num_heads=3),
    "lavit_nano": dict(image_size=16, dims=(6, 12), depths=(1, 2), num_heads=(1, 2), attention_depths=(1, 1),
                       reductions=(2, 1), mlp_ratios=(2.0, 2.0), less_attention_rank=3),
    "mixer_s16_224": dict(image_size=8, patch_size=4, dim=12, depth=2),
    "pit_b_224": dict(image_size=8, patch_size=4, stride=2, dims=(6, 12), depths=(1, 1), num_heads=(1, 2)),
}


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


def create(name, num_classes):
    torch.manual_seed(0)
    return create_model(name, **SMALL[name], num_classes=num_classes).eval()


def images(name):
    return torch.randn(5, 3, SMALL[name]["image_size"], SMALL[name]["image_size"])


def test_without_classes_a_model_gives_features(name):
    model = create(name, 0)
    assert model(images(name)).shape == (5, 12) == (5, model.num_features)
    assert not any(key.startswith("head") for key in model.state_dict())


def test_a_new_head_leaves_the_rest_and_is_drawn(name):
    model, x = create(name, 7), images(name)
    before = {key: weight.clone() for key, weight in model.state_dict().items() if not key.startswith("head")}
    model.reset_classifier(0)
    features = model(x)
    model.double().reset_classifier(11)
    assert model(x.double()).shape == (5, 11) and model.head.weight.std() > 0.01 and not model.head.bias.any()
    torch.testing.assert_close(model.float().head(features), model(x))
    assert all(torch.equal(weight, model.state_dict()[key]) for key, weight in before.items())
    with pytest.raises(ValueError, match="num_classes=-1"):
        model.reset_classifier(-1)


def test_some_classes_keep_their_logits(name):
    model, x = create(name, 7), images(name)
    torch.nn.init.normal_(model.head.weight)
    logits = model(x)
    assert keep_classes(model, range(7)).head.out_features == 7
    torch.testing.assert_close(keep_classes(model, [5, 2])(x), logits[:, [5, 2]])
    assert torch.equal(model(x), logits)  # unchanged, for the next choice
    torch.testing.assert_close(keep_classes(model, [1, 6])(x), logits[:, [1, 6]])


@pytest.mark.parametrize("classes, named", [([0, 7], r"classes=\[0, 7\].*\[0, 7\)"), ([-1], r"classes=\[-1\]"),
                                            ([], r"classes=\[\] must be one or more"), ([1.0], r"classes=\[1.0\]")])
def test_classes_that_a_model_lacks_are_named(name, classes, named):
    with pytest.raises(ValueError, match=named):
        keep_classes(create(name, 7), classes)


def test_a_model_without_logits_for_images_keeps_no_classes():
    for model in (create("vit_nano_patch4_32", 0),
                  create_segmenter("vit_nano_patch4_32", **SMALL["vit_nano_patch4_32"], num_classes=7)):
        with pytest.raises(ValueError, match="has no logit for each class"):
            keep_classes(model, [0])


def test_every_norm_divides_by_what_published_models_do(name):
    norms = [module for module in create(name, 7).modules() if isinstance(module, torch.nn.LayerNorm)]
    assert len(norms) >= 5 and {norm.eps for norm in norms} == {1e-6}


def test_a_model_learns_a_batch_by_heart(name):
    torch.manual_seed(0)
    model, x, labels = create_model(name, **SMALL[name], num_classes=7, context="cb"), images(name), torch.arange(5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
