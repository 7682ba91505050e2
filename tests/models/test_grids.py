"""Images that are not square, in every model."""

import pytest
import torch

from minivit.models import LaViT, Mixer, PiT, ViT

VIT = dict(patch_size=4, num_classes=5, dim=6, depth=2, num_heads=2)
MAKE = {
    "vit": lambda size: ViT(image_size=size, **VIT),
    "less": lambda size: ViT(image_size=size, **VIT, attention_layers=[0]),
    "mixer": lambda size: Mixer(image_size=size, patch_size=4, num_classes=5, dim=6, depth=2),
    "pit": lambda size: PiT(image_size=size, patch_size=4, stride=2, num_classes=5, dims=(4, 8), depths=(1, 1),
                            num_heads=(1, 2)),
    "lavit": lambda size: LaViT(image_size=size, patch_size=2, num_classes=5, dims=(4, 6), depths=(1, 2),
                                attention_depths=(1, 1), num_heads=(1, 2), reductions=(2, 1), mlp_ratios=(2, 2)),
}
GRIDS = {"vit": ((2, 6),), "less": ((2, 6),), "mixer": ((2, 6),), "pit": ((3, 11), (2, 6)), "lavit": ((4, 12), (2, 6))}


def randomize(model):
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return model.eval()


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("size", [(8, 24), [24, 8]])
def test_a_wide_image_is_classified(name, size):
    torch.manual_seed(0)
    model = randomize(MAKE[name](size))
    turn = slice(None, None, 1 if size[0] < size[1] else -1)
    assert model.grids == tuple(grid[turn] for grid in GRIDS[name])
    images = torch.randn(3, 3, *size)
    assert model(images).shape == (3, 5)
    with pytest.raises(ValueError, match=rf"\(B, 3, {size[0]}, {size[1]}\)"):
        model(images.mT)  # as many pixels, but not this image


@pytest.mark.parametrize("name", MAKE)
def test_a_pair_of_equal_sides_is_the_square(name):
    models = []
    for size in (16, (16, 16)):
        torch.manual_seed(0)
        models.append(MAKE[name](size))
    first, second = (model.state_dict() for model in models)
    assert first.keys() == second.keys()
    assert all(torch.equal(weight, second[key]) for key, weight in first.items())


@pytest.mark.parametrize("name", ["vit", "pit", "lavit"])
def test_a_model_of_the_turned_image_sees_the_same_turned(name):
    # Turn the image and everything that is bound to a place: kernels and positions. The logits must not notice.
    torch.manual_seed(0)
    wide, high = randomize(MAKE[name]((8, 24))), MAKE[name]((24, 8))
    turned = {}
    for (key, weight), grid in ((item, g) for item in wide.state_dict().items() for g in [stage_grid(wide, item[0])]):
        if weight.ndim == 4:                                       # kernels, and the positions of a PiT
            weight = weight.mT
        elif key.endswith("pos_embed"):
            places = weight[:, -grid[0] * grid[1]:].unflatten(1, grid).transpose(1, 2).flatten(1, 2)
            weight = torch.cat([weight[:, :-grid[0] * grid[1]], places], dim=1)
        elif key.endswith(("theta.weight", "psi.weight")):
            order = torch.arange(len(weight)).reshape(grid).T.flatten()
            weight = weight[order][:, order]
        elif key.endswith("merging"):                              # of four tokens, the second and the third
            order = torch.tensor([0, 2, 1, 3])
            weight = weight[:, order] if weight.ndim == 2 else weight[:, order][:, :, order]
        turned[key] = weight
    high.load_state_dict(turned)
    images = torch.randn(2, 3, 8, 24)
    torch.testing.assert_close(high.eval()(images.mT), wide(images))


def stage_grid(model, key):
    return model.grids[int(key.split(".")[1])] if key.startswith("stages") else model.grids[0]


def test_two_steps_on_wide_images():
    torch.manual_seed(0)
    model = MAKE["less"]((8, 24))
    images, labels = torch.randn(10, 3, 8, 24), torch.arange(10) % 5
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("name, size, message", [
    ("vit", (8, 22), r"patch_size=4 does not divide image_size=\(8, 22\)"),
    ("pit", (8, 23), r"does not cover image_size=\(8, 23\)"),
    ("lavit", (8, 22), r"image_size=\(8, 22\) is not a multiple of 4"),
    ("lavit", (12, 24), "LAVIT"),
    ("mixer", (8, 24, 3), r"image_size=\(8, 24, 3\)"),
    ("vit", 8.0, "image_size=8.0"), ("mixer", True, "image_size=True"), ("pit", -8, "image_size=-8"),
])
def test_sizes_that_do_not_fit_are_named(name, size, message):
    if message == "LAVIT":  # 6 x 12 tokens, then 3 x 6: neither side of a reduction of 4 fits
        with pytest.raises(ValueError, match=r"reductions=\(4, 1\) must divide .*\(\(6, 12\), \(3, 6\)\)"):
            LaViT(image_size=size, patch_size=2, dims=(4, 6), depths=(1, 2), attention_depths=(1, 1), num_heads=(1, 2),
                  reductions=(4, 1), mlp_ratios=(2, 2))
        return
    with pytest.raises(ValueError, match=message):
        MAKE[name](size)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_model_runs_in_half_precision(name, dtype):
    torch.manual_seed(0)
    model = randomize(MAKE[name]((8, 24)))
    for p in model.parameters():
        p.data = p.data.to(dtype).float()
    images = torch.randn(3, 3, 8, 24).to(dtype)
    want = model(images.float())
    got = model.to(dtype)(images)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want, rtol=0.1, atol=0.1 * want.abs().max().item())
