"""Make images harder to recognise: occlusion, noise, blur, and an adversarial step.

Axes: B batch, C channels, H and W height and width in pixels, K classes. Images are float in pixel units, levels in
[0, 255], before normalisation. Functions return new images of the same shape, type, device and range. Images in half
precision are processed in float32.
"""

from collections.abc import Callable
from math import exp, inf

import torch
import torch.nn.functional as F
from torch import Tensor

from minivit.options import check_between, check_positive
from minivit.wrappers import at_least_float32, check_tensor


def centre_occlusion(images: Tensor, share: float = 0.5) -> Tensor:
    """Black out a rectangle in the centre.

    Parameters
    ----------
    images
        Float, (B, C, H, W), levels in [0, 255].
    share
        Fraction of each side of the image, in [0, 1]: one half hides 112 x 112 of 224 x 224 pixels. The rectangle is
        exactly centred: its sides are rounded to whole pixels, odd where the image's sides are odd.

    Returns
    -------
    Tensor of shape (B, C, H, W)

    Raises
    ------
    ValueError
        If the images or the share are not as above.

    References
    ----------
    Hyeon-Woo et al., 2023, section 4.6. They do not say whether their 0 is black or, after normalisation, the mean.
    """
    check_images(images)
    check_between(0, 1, share=share)
    height, width = images.shape[2:]
    top, left = (int((1 - share) * side / 2 + 0.5) for side in (height, width))
    occluded = images.clone()
    occluded[:, :, top:height - top, left:width - left] = 0
    return occluded


def gaussian_noise(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Add independent Gaussian noise to each value, and clip.

    Parameters
    ----------
    images
        Float, (B, C, H, W), levels in [0, 255].
    sigma
        Standard deviation in levels, 0 or more.
    generator
        Random generator, on whose device the noise is drawn; it may be another than the images'.

    Returns
    -------
    Tensor of shape (B, C, H, W)

    Raises
    ------
    ValueError
        If the images or sigma are not as above.

    References
    ----------
    Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
    ICLR 2019. Hyeon-Woo et al., 2023, take sigma 5 and 10 (their table 9).
    """
    check_images(images)
    check_between(0, inf, sigma=sigma)
    exact = at_least_float32(images)
    noise = torch.randn(exact.shape, generator=generator, dtype=exact.dtype, device=generator.device).to(exact.device)
    return (exact + sigma * noise).clamp(0, 255).to(images.dtype)


def shot_noise(images: Tensor, photons: float, generator: torch.Generator) -> Tensor:
    r"""Replace light by a photon count: Poisson noise, clipped.

    .. math:: x \mapsto \frac{255}{p}\, n, \qquad n \sim \operatorname{Poisson}\Big(p\,\frac{x}{255}\Big)

    Parameters
    ----------
    images
        Float, (B, C, H, W), levels in [0, 255].
    photons
        :math:`p`, the number of photons expected at level 255, larger than 0. Fewer photons mean more noise: the
        variance at level x is 255 x / p.
    generator
        Random generator, on whose device the noise is drawn; it may be another than the images'.

    Returns
    -------
    Tensor of shape (B, C, H, W)

    Raises
    ------
    ValueError
        If the images or ``photons`` are not as above.

    References
    ----------
    Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
    ICLR 2019; 60 photons are their mildest setting on ImageNet, but a strong one on 32 x 32 pixels, where they go from
    500 to 50. Hyeon-Woo et al., 2023 (table 9) do not give theirs.
    """
    check_images(images)
    check_positive(photons=photons)
    level = 255 / photons
    expected = (at_least_float32(images) / level).to(generator.device)
    counts = torch.poisson(expected, generator=generator).to(images.device)
    return (counts * level).clamp(0, 255).to(images.dtype)


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Average each pixel with its surroundings, weighted by a normal density, channel by channel.

    This works like SciPy's ``gaussian_filter``: one axis after the other, with the density cut off at four sigma, and
    the image mirrored at its edges, so that the outermost pixels appear twice.

    Parameters
    ----------
    images
        Float, (B, C, H, W), levels in [0, 255].
    sigma
        Standard deviation in pixels, larger than 0; it may exceed the image.

    Returns
    -------
    Tensor of shape (B, C, H, W)

    Raises
    ------
    ValueError
        If the images or sigma are not as above.

    References
    ----------
    Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
    ICLR 2019. Hyeon-Woo et al., 2023, take sigma 1 and 2 (their table 9).
    """
    check_images(images)
    check_positive(sigma=sigma)
    radius = int(4 * sigma + 0.5)
    density = [exp(-(offset / sigma) ** 2 / 2) for offset in range(-radius, radius + 1)]
    weights = [value / sum(density) for value in density]
    dtype, images = images.dtype, at_least_float32(images)
    for dim in (2, 3):
        side = images.shape[dim]
        # PyTorch's padding mirrors only once; these indices go back and forth as often as the radius requires.
        place = torch.arange(-radius, side + radius, device=images.device) % (2 * side)
        padded = images.index_select(dim, torch.minimum(place, 2 * side - 1 - place))
        # Convolve by hand: a GPU's matrix unit may round to eleven bits, which is a tenth of a level in 255.
        blurred = torch.zeros_like(images)
        for start, weight in enumerate(weights):
            blurred += weight * padded.narrow(dim, start, side)
        images = blurred
    return images.clamp(0, 255).to(dtype)


def fgsm(model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    r"""Attack with the fast gradient sign method: one step that raises the cross-entropy, clipped.

    .. math:: x \mapsto x + \epsilon \operatorname{sign} \nabla_x \operatorname{CE}(f(x), y)

    Parameters
    ----------
    model
        :math:`f`, which maps such images to logits (B, K), or (B, K, H, W) for each pixel; it must normalise them
        itself. Put it in evaluation mode first. Its parameters accumulate no gradients.
    images
        Float, (B, C, H, W), levels in [0, 255].
    labels
        int64, (B,), or (B, H, W) for each pixel: the true classes.
    epsilon
        Change of each value, in levels, 0 or more.

    Returns
    -------
    Tensor of shape (B, C, H, W)
        Detached from the graph. The result is the same under ``torch.no_grad()`` and ``torch.inference_mode()``.

    Raises
    ------
    ValueError
        If the images, the labels or epsilon are not as above.

    References
    ----------
    Goodfellow et al., "Explaining and harnessing adversarial examples", ICLR 2015. Hyeon-Woo et al., 2023 (table 8)
    do not give their epsilon.
    """
    check_images(images)
    if labels.dtype != torch.int64 or labels.shape not in (images.shape[:1], images[:, 0].shape):
        raise ValueError(f"labels of dtype {labels.dtype} and shape {tuple(labels.shape)}: they must be int64 of shape "
                         f"({len(images)},), one for each image, or {tuple(images[:, 0].shape)}, for each pixel")
    check_between(0, inf, epsilon=epsilon)
    images = images.detach()
    with torch.inference_mode(False), torch.enable_grad():
        attacked, labels = images.clone().requires_grad_(), labels.clone()  # the given may have no gradient for good
        logits = model(attacked)
        if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
            raise ValueError(f"labels go from {labels.min()} to {labels.max()}: they must stay in 0 ... "
                             f"{logits.shape[1] - 1}, the classes of the model")
        exact = at_least_float32(logits).detach().requires_grad_()
        # Sum the losses, so that an image's gradient doesn't depend on the size of the batch.
        d_logits, = torch.autograd.grad(F.cross_entropy(exact, labels, reduction="sum"), exact)
        # Only the sign counts. The gradient of a confident answer is tiny and would become 0 on its way back through a
        # model in half precision. So each image's gradient is scaled to about 1, by a power of two, which is exact.
        largest = d_logits.abs().amax(dim=tuple(range(1, d_logits.ndim)), keepdim=True)
        _, exponent = largest.cpu().frexp()  # not available on Apple GPUs
        scale = torch.ldexp(torch.ones(exponent.shape), -exponent.clamp(min=-100)).to(d_logits)
        gradient, = torch.autograd.grad(logits, attacked, (scale * d_logits).to(logits.dtype))
    return (at_least_float32(images) + epsilon * gradient.sign()).clamp(0, 255).to(images.dtype)


def check_images(images: Tensor) -> None:
    check_tensor(images=images)
    if not images.is_floating_point() or images.ndim != 4:
        raise ValueError(f"images of dtype {images.dtype} and shape {tuple(images.shape)}: they must be float of shape "
                         "(B, C, H, W)")
    if not ((images >= 0) & (images <= 255)).all():
        raise ValueError(f"images go from {images.min():g} to {images.max():g}: they must stay in [0, 255], "
                         "and be normalised later")
