import pytest
import torch
import torch.nn.functional as F

from minivit.data.augment import cutmix, mixup, mixup_or_cutmix, normalize, random_crop, random_flip

B, C, H, W, K = 61, 3, 7, 5, 11


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randint(1, 256, (B, C, H, W), dtype=torch.uint8)


def test_each_crop_is_a_window_of_the_padded_image_and_all_shifts_occur(images):
    padding = 1
    out, padded = random_crop(images, padding), F.pad(images, [padding] * 4)
    assert out.dtype == torch.uint8
    seen = set()
    for before, after in zip(padded, out, strict=True):
        shifts = [(y, x) for y in range(3) for x in range(3) if torch.equal(before[:, y:y + H, x:x + W], after)]
        assert len(shifts) == 1
        seen.update(shifts)
    assert len(seen) == 9


def test_no_padding_is_no_crop(images):
    assert random_crop(images, 0) is images


def test_each_image_is_mirrored_or_not(images):
    out = random_flip(images)
    same = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 10 < mirrored.sum() < 51  # a fair coin is outside less than once in a million


def test_normalize_gives_mean_zero_and_deviation_one(images):
    scaled = images.float() / 255
    mean, std = (tuple(f(scaled, dim=(0, 2, 3)).tolist()) for f in (torch.mean, torch.std))
    out = normalize(images, mean, std)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(C), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3)), torch.ones(C), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_targets_follow_what_is_in_the_image(mix):
    torch.manual_seed(0)
    labels = torch.arange(B) % K
    images = labels.float().view(B, 1, 1, 1).expand(B, C, H, W)  # every pixel of an image is its label
    out, targets = mix(images, F.one_hot(labels, K).float(), 1.0)
    torch.testing.assert_close(targets.sum(1), torch.ones(B))
    torch.testing.assert_close(out.mean((1, 2, 3)), targets @ torch.arange(K).float(), atol=1e-4, rtol=0)
    assert len(targets.max(1).values.unique()) > 10  # each image has its own share


def test_cutmix_pastes_one_box_of_whole_pixels():
    torch.manual_seed(0)
    images = torch.arange(B).float().view(B, 1, 1, 1).expand(B, 1, H, W)
    out, _ = cutmix(images, torch.eye(B), 1.0)
    for before, after in zip(images[:, 0], out[:, 0], strict=True):
        changed = before != after
        rows, columns = changed.any(1).nonzero()[:, 0], changed.any(0).nonzero()[:, 0]
        assert len(after.unique()) <= 2
        if len(rows):
            assert changed[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1].all()


def test_cutmix_pastes_the_share_that_was_drawn_unless_the_border_cuts_it():
    torch.manual_seed(0)
    images = torch.arange(2 * B).float().view(2 * B, 1, 1, 1).expand(2 * B, 1, 40, 30)
    out, _ = cutmix(images, torch.eye(2 * B), 1e4)  # the shares are nearly one half
    pasted = (out != images)[:, 0].float().mean((1, 2))
    assert 0.47 < pasted.max() < 0.53 and pasted.median() < 0.4


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_the_seed_decides(mix, images):
    targets = torch.eye(B)
    got = []
    for _ in range(2):
        torch.manual_seed(5)
        got.append(mix(images.float(), targets, 0.2))
    assert torch.equal(got[0][0], got[1][0]) and torch.equal(got[0][1], got[1][1])


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_alpha_must_be_positive(alpha, images):
    with pytest.raises(ValueError, match="alpha="):
        mixup(images.float(), torch.eye(B), alpha)


@pytest.mark.parametrize("padding", [-1, 1.0, True])
def test_a_padding_that_is_none_is_named(padding, images):
    with pytest.raises(ValueError, match=f"padding={padding}"):
        random_crop(images, padding)


@pytest.mark.parametrize("mean, std, message", [
    ((0.5,), (0.2,) * 3, r"mean=\(0.5,\) does not fit images of 3 channels"),  # would be broadcast
    ((0.5,) * 3, (0.2,), r"std=\(0.2,\) does not fit"),
    ((0.5,) * 3, (0.2, 0.0, 0.2), r"std=\(0.2, 0.0, 0.2\).*larger than 0"),
    ((float("nan"),) * 3, (0.2,) * 3, "mean=.nan.*finite"),
])
def test_statistics_that_do_not_fit_are_named(mean, std, message, images):
    with pytest.raises(ValueError, match=message):
        normalize(images, mean, std)


def test_statistics_may_come_from_json(images):
    assert torch.equal(normalize(images, [0.5] * 3, [0.2] * 3), normalize(images, (0.5,) * 3, (0.2,) * 3))


def test_statistics_first_used_without_gradients_serve_one_that_needs_them(images):
    mean, std = (0.123, 0.234, 0.345), (0.456, 0.567, 0.678)
    with torch.inference_mode():
        normalize(images, mean, std)
    pixels = images.float().requires_grad_()
    normalize(pixels, mean, std).sum().backward()
    torch.testing.assert_close(pixels.grad[0, :, 0, 0], 1 / (255 * torch.tensor(std)))


def test_a_coin_decides_for_the_whole_batch():
    images = torch.arange(B).float().view(B, 1, 1, 1).expand(B, 1, H, W)
    boxes = []
    for seed in range(40):
        torch.manual_seed(seed)
        out, targets = mixup_or_cutmix(images, torch.eye(B), 1.0, 1.0)
        whole = out == out.round()
        assert whole.all() or (out == out[:, :, :1, :1]).all()  # pixels of two images, or one blend of both
        torch.testing.assert_close(out.mean((1, 2, 3)), targets @ torch.arange(B).float(), atol=1e-4, rtol=0)
        boxes.append(bool(whole.all()))
    assert 8 < sum(boxes) < 32  # a fair coin is outside less than once in ten thousand


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_a_target_for_each_pixel_is_mixed_as_the_pixel(mix, images):
    out, targets = mix(images.float(), images.float() / 255, 1.0)
    torch.testing.assert_close(out / 255, targets)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_labels_in_place_of_probabilities_are_told(mix, images):
    with pytest.raises(ValueError, match="they must be probabilities .*one_hot"):
        mix(images.float(), torch.arange(len(images)), 1.0)
