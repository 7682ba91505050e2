import json

import numpy as np
import pytest
import torch
from PIL import Image

from minivit.__main__ import main
from minivit.data import load
from minivit.data.operations import MAPS, OPERATIONS, apply_operations
from minivit.models import create_model
from minivit.models.segmenter import Segmenter, create_segmenter
from minivit.report.analyze import analyze
from minivit.tasks import TASKS, find_task
from minivit.training import Config, Trainer
from tests.host_free import host_free

CPU = torch.device("cpu")
SMALL = dict(image_size=16, dim=12, depth=2, num_heads=3)
STAGES = dict(image_size=32, dims=(4, 6, 8, 10), depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2))
TASK = TASKS["segmentation"]


@pytest.fixture(scope="module")
def shapes():
    return load("shapes", train_images=13, test_images=7, size=16)


@pytest.mark.parametrize("degrees", [-23.0, 90.0, 131.0])
def test_a_turned_mask_is_pillows(degrees):
    mask = torch.from_numpy(np.random.default_rng(0).integers(0, 6, (1, 17, 17), dtype=np.uint8))
    operation = torch.tensor([[OPERATIONS.index("rotate")]])
    _, turned = apply_operations(mask[:, None], operation, torch.tensor([[degrees]]), 0, mask)
    want = np.asarray(Image.fromarray(mask[0].numpy()).rotate(degrees, Image.Resampling.NEAREST))
    assert (turned[0].numpy() == want).mean() > 0.98  # Pillow's steps are of 1/65536 pixel


@pytest.mark.parametrize("name, strength, matrix", [
    ("shear_x", 0.27, (1, 0.27, 0, 0, 1, 0)), ("shear_y", -0.3, (1, 0, 0, -0.3, 1, 0)),
    ("translate_x", 4.0, (1, 0, 4, 0, 1, 0)), ("translate_y", -3.0, (1, 0, 0, 0, 1, -3)),
])
def test_a_moved_mask_is_pillows(name, strength, matrix):
    assert name in MAPS
    mask = torch.from_numpy(np.random.default_rng(0).integers(1, 6, (1, 11, 7), dtype=np.uint8))
    operation = torch.tensor([[OPERATIONS.index(name)]])
    _, moved = apply_operations(mask[:, None], operation, torch.tensor([[strength]]), 0, mask)
    want = np.asarray(Image.fromarray(mask[0].numpy()).transform((7, 11), Image.Transform.AFFINE, matrix))
    assert (moved[0].numpy() == want).mean() > 0.98 and (moved == 0).any()  # ground comes in


@pytest.mark.parametrize("options", [
    {"crop_padding": 3}, {"flip": True}, {"cutmix": 1.0}, {"augmentation": "randaugment", "crop_padding": 2},
    {"augmentation": "trivialaugment"}, {"erasing": 1.0}, {"crop": "random_resized", "flip": True},
], ids=str)
def test_masks_follow_the_pixels(options, shapes):
    torch.manual_seed(0)
    fitted, masks = TASK.fit(shapes), shapes.train.masks
    augment = TASK.augmentation(fitted, CPU, **options)
    images, targets = augment(shapes.train.images, masks)
    assert images.shape == (13, 3, 16, 16) and targets.shape == (13, 6, 16, 16)
    torch.testing.assert_close(targets.sum(1), torch.ones(13, 16, 16))
    if not {"augmentation", "erasing", "crop"} & options.keys():  # a picture of the mask moves as the mask does
        torch.manual_seed(0)
        pictures = (40 * masks)[:, None].expand(-1, 3, -1, -1)
        shown, targets = augment(pictures, masks)
        levels = (shown * augment.std + augment.mean)[:, 0] * 255 / 40
        torch.testing.assert_close(levels, targets.argmax(1).float(), atol=1e-3, rtol=0)
        assert not torch.equal(targets.argmax(1), masks.long())
    if "crop" in options:  # a picture is blended at its edges alone
        torch.manual_seed(0)
        shown, targets = augment((255 * (masks > 0))[:, None].expand(-1, 3, -1, -1).to(torch.uint8), masks)
        levels = (shown * augment.std + augment.mean)[:, 0]
        assert ((levels > 0.5) == (targets.argmax(1) > 0)).float().mean() > 0.97
    if "erasing" in options:
        assert torch.equal(targets.argmax(1), masks.long())


@pytest.mark.parametrize("augmentation", ["randaugment", "trivialaugment"])
def test_a_policy_moves_masks_as_it_moves_pictures(augmentation, shapes):
    augment = TASK.augmentation(TASK.fit(shapes), CPU, augmentation=augmentation)
    dark = torch.zeros_like(shapes.train.images)
    torch.manual_seed(1)
    moved = augment(dark, torch.ones_like(shapes.train.masks))[1].argmax(1)
    assert 0.3 < moved.float().mean() < 1  # ground has come in at some edges


def test_scores_of_a_small_example():
    truth = torch.tensor([[[0, 1, 1], [0, 2, 2]]], dtype=torch.uint8)
    said = torch.tensor([[[0, 1, 2], [0, 2, 2]]])
    logits = 20 * torch.nn.functional.one_hot(said, 5).movedim(3, 1).float()
    metrics = TASK.summarize(TASK.measure(logits, truth, 5), 1)
    assert metrics["test_miou"] == pytest.approx(100 * (1 + 1 / 2 + 2 / 3) / 3)  # classes 3 and 4 are nowhere
    assert metrics["test_pixel_accuracy"] == pytest.approx(100 * 5 / 6)
    assert metrics["test_loss"] == pytest.approx(20 / 6, rel=1e-3)


@pytest.mark.parametrize("name, options", [("vit_nano_patch4_32", SMALL), ("lavit_nano", STAGES)])
def test_every_weight_of_a_segmenter_has_a_gradient(name, options):
    torch.manual_seed(0)
    model = create_segmenter(name, num_classes=5, **options)
    side = options["image_size"]
    logits, maps = model(torch.randn(3, 3, side, side), return_attention=True)
    assert logits.shape == (3, 5, side, side) and len(maps) == sum(options.get("depths", (2,)))
    torch.testing.assert_close(model(torch.zeros(1, 3, side, side)), model(torch.zeros(1, 3, side, side)))
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    last = (model.head, model.norms, model.backbone.norm)
    assert all(p.grad.any() for part in last for p in part.parameters())


def test_a_token_speaks_of_its_own_pixels():
    model = create_segmenter("vit_nano_patch4_32", num_classes=5, **SMALL)
    model.head.weight.data.zero_()
    model.head.bias.data = torch.arange(80.0)
    logits = model(torch.zeros(1, 3, 16, 16))
    assert torch.equal(logits[0, 2, 4:8, 8:12].flatten(), torch.arange(32.0, 48.0))


def test_what_has_no_head_or_no_masks_is_named():
    with pytest.raises(ValueError, match="Mixer has no head for segmentation"):
        Segmenter(create_model("mixer_s16_224", num_classes=0, dim=8, depth=1), 5)
    with pytest.raises(ValueError, match="needs masks, which digits lacks"):
        TASK.fit(load("digits"))
    with pytest.raises(ValueError, match="task='segmentatoin' is not known.*did you mean 'segmentation'"):
        find_task("segmentatoin")


def test_a_step_asks_nothing_of_the_host_and_drops_no_patches(shapes):
    config = Config(task="segmentation", dataset="shapes", epochs=1, batch_size=5, warmup_epochs=0.0, flip=True,
                    augmentation="randaugment", erasing=0.5, mixup=0.2, cutmix=1.0, crop_padding=1,
                    model_options=SMALL | {"num_classes": 6})
    trainer = Trainer(config, shapes, CPU)
    trainer.prepare_step()
    with host_free():
        trainer.take_step(shapes.train.images[:5], shapes.train.masks[:5])
    with pytest.raises(ValueError, match="drops no patches"):
        Trainer(config.override(patch_dropout=(0.5,)), shapes, CPU)


def test_the_commands(tmp_path, capsys):
    recipe, out = tmp_path / "recipe.py", tmp_path / "run"
    recipe.write_text(f"""def get_config():
    return dict(task="segmentation", dataset="shapes", model="vit_nano_patch4_32", epochs=2, warmup_epochs=0.0,
                dataset_options=dict(train_images=13, test_images=7, size=16), batch_size=5,
                model_options={SMALL!r})
""", encoding="utf-8")
    assert main(["train", str(recipe), "--out", str(out)]) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0].keys() == {"epoch", "train_loss", "test_loss", "test_miou", "test_pixel_accuracy",
                               "images_per_second", "time_s"}
    said = f"mean IoU {lines[-1]['test_miou']:.2f} %, pixel accuracy {lines[-1]['test_pixel_accuracy']:.2f} %"
    assert main(["eval", str(out)]) == 0
    assert said in capsys.readouterr().out
    assert main(["analyze", str(out)]) == 0
    assert "mean IoU, %" in capsys.readouterr().out
    analysis = json.loads((out / "analysis/analysis.json").read_text(encoding="utf-8"))
    assert analysis["robustness"]["clean"] == pytest.approx(lines[-1]["test_miou"], abs=1e-2)
    assert analysis["data"]["classes"][0] == "ground" and (out / "analysis/rollout.png").exists()
    assert main(["sweep", str(recipe), "--out", str(tmp_path / "sweep"), "--epochs", "1"]) == 0
    assert "mean IoU, %" in capsys.readouterr().out
    assert main(["eval", str(out), "--classes", "disc"]) == 1


def test_a_backbone_without_attention_has_no_maps_and_is_analysed_without(shapes):
    model = create_segmenter("vit_nano_patch4_32", num_classes=6, mixer="spectral", **SMALL)
    with pytest.raises(ValueError, match="no layer of this model has an attention map .SpectralMixer."):
        model(torch.zeros(1, 3, 16, 16), return_attention=True)
    result = analyze(model, TASK.fit(shapes), task="segmentation", progress=False)
    assert result["attention"] is None and 0 <= result["robustness"]["clean"] <= 100


def test_a_nan_is_never_right():
    logits, masks = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 5, 7).byte()
    loss, *sums = TASK.measure(logits.masked_fill(torch.ones(6, 1, 1).bool(), torch.nan), masks, 6)
    assert loss.isnan() and TASK.summarize([loss, *sums], 2)["test_pixel_accuracy"] == 0
