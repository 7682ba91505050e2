from math import sqrt

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest, kstest
from torch import nn

from minivit.analysis.robustness import centre_occlusion, fgsm, gaussian_blur, gaussian_noise, shot_noise
from minivit.models import ViT

B, C, H, W = 5, 3, 13, 7
UNLIKELY = 1e-6  # a right draw fails a test for one seed in a million


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


@pytest.fixture
def images():
    return 255 * torch.rand(B, C, H, W, generator=seeded())


@pytest.fixture
def labels():
    return torch.tensor([0, 1, 1, 0, 1])


def linear(k=2):
    """From pixels to small logits, so that no probability is rounded to 0 or 1."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, k))
    with torch.no_grad():
        model[1].weight /= 255
    return model


DISTURBANCES = {
    "occlusion": lambda images: centre_occlusion(images),
    "gaussian": lambda images: gaussian_noise(images, 10, seeded()),
    "shot": lambda images: shot_noise(images, 60, seeded()),
    "blur": lambda images: gaussian_blur(images, 1.5),
    "fgsm": lambda images: fgsm(lambda x: linear()(x.float()), images, torch.arange(len(images)) % 2, 3),
}
disturbances = pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES.keys())


@disturbances
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_type_and_range_stay_and_every_image_changes(images, disturb, dtype):
    images = images.to(dtype)
    before = images.clone()
    out = disturb(images)
    assert torch.equal(images, before) and not images.requires_grad
    assert out.shape == images.shape and out.dtype == dtype and not out.requires_grad
    assert out.min() >= 0 and out.max() <= 255
    assert (out != images).flatten(1).any(1).all()


@disturbances
def test_a_batch_may_be_empty(images, disturb):
    assert disturb(images[:0]).shape == (0, C, H, W)


@disturbances
@pytest.mark.parametrize("bad, message", [
    (torch.zeros(B, C, H, W, dtype=torch.uint8), r"images of dtype torch.uint8 .* float of shape \(B, C, H, W\)"),
    (torch.zeros(C, H, W), r"shape \(3, 13, 7\): they must be float of shape \(B, C, H, W\)"),
    (torch.linspace(-2, 2, C * H * W).view(1, C, H, W), r"images go from -2 to 2: they must stay in \[0, 255\]"),
    (torch.linspace(0, 256, C * H * W).view(1, C, H, W), "images go from 0 to 256"),
    (torch.full((1, C, H, W), torch.nan), "images go from nan to nan"),
    (torch.zeros(1, C, H, W).numpy(), "images is a ndarray: it must be a tensor"),
])
def test_bad_images_are_named(bad, message, disturb):
    with pytest.raises(ValueError, match=message):
        disturb(bad)


@pytest.mark.parametrize("height, width, share, rows, columns", [
    (224, 224, 0.5, slice(56, 168), slice(56, 168)),  # the paper's 112 x 112
    (32, 32, 0.5, slice(8, 24), slice(8, 24)),
    (13, 7, 0.5, slice(3, 10), slice(2, 5)),
    (13, 5, 0.2, slice(5, 8), slice(2, 3)),
    (13, 6, 0.0, slice(0), slice(0)),
    (5, 1, 0.0, slice(0), slice(0)),
    (13, 6, 1.0, slice(None), slice(None)),
])
def test_the_centre_is_black_and_every_other_bit_stays(height, width, share, rows, columns):
    images = 1 + 254 * torch.rand(2, C, height, width, generator=seeded())
    want = images.clone()
    want[:, :, rows, columns] = 0
    assert torch.equal(centre_occlusion(images, share), want)
    assert torch.equal(want == 0, (want == 0).flip(2, 3))  # centred


@pytest.mark.parametrize("sigma", [5, 10])
def test_gaussian_noise_is_normal(sigma):
    grey = torch.full((2, C, 101, 97), 127.0, dtype=torch.float64)  # 12 sigma from where it would be clipped
    noise = gaussian_noise(grey, sigma, seeded()) - grey
    assert kstest(noise.flatten() / sigma, "norm").pvalue > UNLIKELY
    assert noise.std().item() == pytest.approx(sigma, rel=5 / sqrt(2 * noise.numel()))  # five standard errors


def test_gaussian_noise_is_clipped():
    black = gaussian_noise(torch.zeros(1, C, 101, 97), 10, seeded())
    assert black.min() == 0
    assert binomtest(int((black == 0).sum()), black.numel(), 0.5).pvalue > UNLIKELY
    assert gaussian_noise(torch.full((1, C, 101, 97), 255.0), 10, seeded()).max() == 255


def test_no_noise_for_sigma_0(images):
    assert torch.equal(gaussian_noise(images, 0, seeded()), images)


@pytest.mark.parametrize("photons, level", [(60, 51.0), (17, 30.0)])
def test_shot_noise_is_poisson(photons, level):
    out = shot_noise(torch.full((2, C, 101, 97), level, dtype=torch.float64), photons, seeded())
    counts = out * photons / 255
    assert (counts - counts.round()).abs().max() < 1e-9
    # A Poisson variable of mean m has the variance m and the fourth central moment m + 3 m^2; five standard errors.
    m, n = photons * level / 255, counts.numel()
    assert counts.mean().item() == pytest.approx(m, abs=5 * sqrt(m / n))
    assert counts.var().item() == pytest.approx(m, abs=5 * sqrt((m + 2 * m**2) / n))


def test_shot_noise_keeps_black_and_is_clipped():
    assert not shot_noise(torch.zeros(1, C, H, W), 60, seeded()).any()
    assert shot_noise(torch.full((1, C, 101, 97), 255.0), 60, seeded()).max() == 255


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("noise, strength", [(gaussian_noise, 10), (shot_noise, 60)])
def test_the_generator_decides(images, noise, strength, device):
    images = images[:1].expand(B, -1, -1, -1).to(device)
    torch_state = torch.get_rng_state()
    first, same, other = (noise(images, strength, seeded(seed, device)) for seed in (5, 5, 6))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])  # each image has noise of its own
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("height, width", [(H, W), (5, 1), (32, 31)])
@pytest.mark.parametrize("sigma", [0.1, 0.7, 1, 2, 3.3, 11])  # radii of 0 to 44 pixels
def test_blur_equals_scipy(height, width, sigma):
    images = 255 * torch.rand(2, C, height, width, generator=seeded(), dtype=torch.float64)
    want = gaussian_filter(images.numpy(), sigma, axes=(2, 3), mode="reflect", truncate=4)
    np.testing.assert_allclose(gaussian_blur(images, sigma).numpy(), want, atol=1e-10, rtol=0)


@pytest.mark.parametrize("sigma", [0.7, 1, 1.5, 2, 3])
def test_blur_keeps_white_white_and_never_whiter(sigma):
    white = torch.full((1, C, H, W), 255.0)
    blurred = gaussian_blur(white, sigma)
    assert blurred.min() > 255 - 1e-3
    assert blurred.max() <= 255  # the weights' rounded sum may exceed 1


@pytest.mark.parametrize("epsilon", [0.5, 3])
def test_fgsm_of_two_linear_classes_goes_along_their_difference(images, labels, epsilon):
    model = linear()
    # The gradient of the loss is p (w' - w), with w the true class's weights, w' the other's and p its probability.
    w = model[1].weight.detach()
    want = images + epsilon * (w[1 - labels] - w[labels]).sign().view_as(images)
    assert torch.equal(fgsm(model, images, labels, epsilon), want.clamp(0, 255))


def test_fgsm_raises_the_loss_of_each_image(images):
    model, labels = linear(k=7), torch.tensor([0, 6, 2, 3, 5])

    def loss(x):
        return F.cross_entropy(model(x), labels, reduction="none")

    # A linear model's loss is convex in the image: no step along its gradient can lower it.
    assert (loss(fgsm(model, images, labels, 3)) > loss(images)).all()


def test_fgsm_raises_the_loss_of_a_transformer_and_leaves_its_gradients_alone():
    torch.manual_seed(0)
    vit = ViT(image_size=15, patch_size=5, num_classes=7, dim=21, depth=2, num_heads=3).eval()
    nn.init.normal_(vit.head.weight)
    images, labels = 255 * torch.rand(B, C, 15, 15, generator=seeded()), torch.tensor([0, 6, 2, 3, 5])

    def model(x):
        return vit(x / 255)

    with torch.no_grad():
        attacked = fgsm(model, images, labels, 1)
        assert F.cross_entropy(model(attacked), labels) > F.cross_entropy(model(images), labels)
    assert torch.equal(fgsm(model, images, labels, 1), attacked)
    with torch.inference_mode():
        assert torch.equal(fgsm(model, images.clone(), labels.clone(), 1), attacked)
    assert all(p.grad is None and p.requires_grad for p in vit.parameters())


def test_fgsm_of_an_image_does_not_depend_on_the_others(images, labels):
    model = linear()
    assert torch.equal(fgsm(model, images, labels, 3)[1:2], fgsm(model, images[1:2], labels[1:2], 3))


def test_fgsm_takes_images_that_need_a_gradient_and_gives_none(images, labels):
    out = fgsm(linear(), images.clone().requires_grad_(), labels, 0)
    assert torch.equal(out, images) and not out.requires_grad


@pytest.mark.parametrize("bad", [torch.zeros(B), torch.zeros(B + 1, dtype=torch.int64),
                                 torch.zeros(B, 2, dtype=torch.int64)])
def test_bad_labels_are_named(images, bad):
    with pytest.raises(ValueError, match=r"labels of dtype .* int64 of shape \(5,\)"):
        fgsm(linear(), images, bad, 1)


@pytest.mark.parametrize("disturb, message", [
    (lambda x, bad: centre_occlusion(x, bad), r"share=.* must be in \[0, 1\]"),
    (lambda x, bad: gaussian_noise(x, bad, seeded()), "sigma=.* finite number of at least 0"),
    (lambda x, bad: shot_noise(x, bad, seeded()), "photons=.* finite number larger than 0"),
    (lambda x, bad: gaussian_blur(x, bad), "sigma=.* finite number larger than 0"),
    (lambda x, bad: fgsm(linear(), x, torch.zeros(B, dtype=torch.int64), bad), "epsilon=.* of at least 0"),
])
@pytest.mark.parametrize("bad", [-0.1, float("inf"), float("nan")])
def test_a_bad_strength_is_named(images, disturb, message, bad):
    with pytest.raises(ValueError, match=message):
        disturb(images, bad)


@pytest.mark.parametrize("disturb", [lambda x: shot_noise(x, 0, seeded()), lambda x: gaussian_blur(x, 0)])
def test_0_is_no_strength_of_shot_noise_and_blur(images, disturb):
    with pytest.raises(ValueError, match="=0 .* larger than 0"):
        disturb(images)


@pytest.mark.parametrize("label", [-100, -1, 2])
def test_a_label_that_the_model_has_no_class_for_is_named(images, label):
    # -100 is what cross-entropy leaves out: such an image would not be attacked, without a word.
    labels = torch.full((len(images),), label)
    with pytest.raises(ValueError, match=f"labels go from {label} to {label}: they must stay in 0 ... 1"):
        fgsm(lambda x: torch.stack([x.sum(dim=(1, 2, 3)), x.mean(dim=(1, 2, 3))], dim=1), images, labels, 1.0)
