"""The operations of RandAugment and TrivialAugment on a batch; each image has its own operation and strength.

Axes: B batch, C channels (1 or 3), H and W height and width in pixels, L the 256 levels of a byte, R rounds.

There are three kinds. Each is computed for the whole batch at once, whatever the images drew:

========  ===============================================================  =========================================
kind      what an operation defines                                        an image that drew another one gets
========  ===============================================================  =========================================
table     the level that replaces each level                               the identity table
blend     a degenerate image, blended with the image by the strength       a blend that is all image
map       where in the image a pixel comes from                            the identity map
========  ===============================================================  =========================================

So an operation that an image did not draw leaves it unchanged to the last bit, nothing waits for the device, and an
operation costs a table of 256 numbers or one degenerate batch. Values agree with Pillow's ``ImageOps`` and
``ImageEnhance``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def apply_operations(images: Tensor, operation: Tensor, strength: Tensor, fill: int, masks: Tensor | None = None
                     ) -> Tensor | tuple[Tensor, Tensor]:
    """Apply its own operations to each image, one per round, in order.

    Two rounds share one resampling: first the colours of round one, then the maps of both rounds composed, then the
    colours of round two. So an image that draws a map and a colour gets them in the right order, and two maps become
    one. In one respect the result is better than Pillow's: since the image is sampled once, pixels that the first map
    moves out can come back in with the second.

    Parameters
    ----------
    images
        uint8, (B, C, H, W) with C 1 or 3.
    operation
        int64, (R, B): an index into ``OPERATIONS`` for each round and image.
    strength
        float32, (R, B), in the unit of the operation, for which see its function or :func:`affine_map`.
    fill
        Level in [0, 255] for pixels that come from outside the image.
    masks
        Optional classes of the pixels, (B, H, W), which move along with them; 0 comes in from outside.

    Returns
    -------
    Tensor of shape (B, C, H, W), uint8; with masks, also the masks, (B, H, W)
    """
    for first in range(0, len(operation), 2):
        drawn = list(zip(operation[first:first + 2], strength[first:first + 2], strict=True))
        images = recolour(images, *drawn[0])
        matrix = compose([affine_map(*draw, *images.shape[2:]) for draw in drawn])
        images = resample(images, matrix, fill)
        images = recolour(images, *drawn[1]) if len(drawn) == 2 else images
        masks = None if masks is None else resample_masks(masks, matrix)
    return images if masks is None else (images, masks)


# Tables map (levels (L,), cumulative (B, C, L), strength (B, 1, 1)) to (B, C, L), or what broadcasts to it, int32.
# ``cumulative`` counts the pixels at or below each level.

def invert(levels: Tensor, cumulative: Tensor, strength: Tensor) -> Tensor:
    """Swap dark and bright; no strength."""
    return 255 - levels


def solarize_add(levels: Tensor, cumulative: Tensor, strength: Tensor) -> Tensor:
    """Add the strength, levels in [0, 128], to the darker half."""
    return torch.where(levels < 128, (levels + strength.int()).clamp(0, 255), levels)


def posterize(levels: Tensor, cumulative: Tensor, strength: Tensor) -> Tensor:
    """Keep as many of the highest bits as the strength, in [1, 8]; 8 changes nothing."""
    return levels - levels % torch.bitwise_left_shift(1, (8 - strength.int()).clamp(0, 8))


def solarize(levels: Tensor, cumulative: Tensor, strength: Tensor) -> Tensor:
    """Invert all levels at or above the strength, in [0, 256]; 256 changes nothing."""
    return torch.where(levels < strength, levels, 255 - levels)


def auto_contrast(levels: Tensor, cumulative: Tensor, strength: Tensor) -> Tensor:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255; no strength.

    Levels are rounded down. Where the quotient is whole, Pillow's rounding errors can give one level less.
    """
    low = (cumulative == 0).sum(-1, keepdim=True, dtype=torch.int32)
    high = (cumulative < cumulative[..., -1:]).sum(-1, keepdim=True, dtype=torch.int32)
    return torch.where(high > low, quotient(255 * (levels - low), high - low), levels)


def equalize(levels: Tensor, cumulative: Tensor, strength: Tensor) -> Tensor:
    """Spread the pixels of each channel about evenly over the levels; no strength."""
    below_brightest = torch.where(cumulative < cumulative[..., -1:], cumulative, 0).amax(-1, keepdim=True)
    step = below_brightest // 255  # pixels that share a level
    below = F.pad(cumulative, (1, 0))[..., :-1]
    return torch.where(step > 0, quotient(step // 2 + below, step), levels)


def quotient(dividend: Tensor, divisor: Tensor) -> Tensor:
    """Divide integers, rounding down, and clamp to [0, 255]; int32.

    Integer division is slow. Adding one half keeps every quotient so far from the next integer that float32 rounding
    cannot reach it on any device.
    """
    return ((dividend + 0.5) / divisor).clamp(0, 255).int()


# Blends map (pixels (B, C, H, W), grey (B, 1, H, W)) to the degenerate image that strength 0 gives, (B, C, H, W) or
# what broadcasts to it; all are whole numbers in float32. Strength 1 changes nothing.

def brightness(pixels: Tensor, grey: Tensor) -> Tensor:
    """Black."""
    return torch.zeros_like(grey[:, :, :1, :1])


def contrast(pixels: Tensor, grey: Tensor) -> Tensor:
    """The mean grey of each image."""
    return (grey.mean(dim=(1, 2, 3), keepdim=True) + 0.5).floor()


def color(pixels: Tensor, grey: Tensor) -> Tensor:
    """Grey of the same lightness."""
    return grey


def sharpness(pixels: Tensor, grey: Tensor) -> Tensor:
    """Each pixel, weighted five times, averaged with its eight neighbours; the outermost pixels stay."""
    columns = pixels[..., :-2] + pixels[..., 1:-1] + pixels[..., 2:]
    around = columns[..., :-2, :] + columns[..., 1:-1, :] + columns[..., 2:, :]
    smooth = pixels.clone()
    smooth[..., 1:-1, 1:-1] = ((around + 4 * pixels[..., 1:-1, 1:-1]) / 13 + 0.5).floor()
    return smooth


def luma(pixels: Tensor) -> Tensor:
    """Weight the channels by how bright they look (ITU-R 601), (B, C, H, W) to (B, 1, H, W)."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels.split(1, dim=1)
    # With weights in 65536ths, every product and sum is an integer that float32 represents, so all devices agree.
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) / 65536).floor()


# Operations that need one channel, or one pixel, come before those that need them all, to minimise the total work.
TABLES = {f.__name__: f for f in (invert, solarize_add, posterize, solarize, auto_contrast, equalize)}
BLENDS = {f.__name__: f for f in (brightness, contrast, color, sharpness)}
MAPS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
OPERATIONS = (*TABLES, *BLENDS, *MAPS, "identity")


def recolour(images: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply the table or blend that each image drew; (B, C, H, W) to (B, C, H, W), uint8, with draws of shape (B,)."""
    drew = who_drew(operation)
    levels = torch.arange(256, dtype=torch.int32, device=images.device)
    index = images.flatten(2).long()                                                        # (B, C, HW)
    counts = torch.zeros((*images.shape[:2], 256), dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, index, counts.new_ones(()).expand_as(index))
    cumulative = counts.cumsum(2, dtype=torch.int32)
    table = levels
    for name, new in TABLES.items():
        table = torch.where(drew[name][:, None, None], new(levels, cumulative, strength[:, None, None]), table)
    images = table.to(torch.uint8).gather(2, index).view_as(images)

    pixels = images.float()
    grey, degenerate, factor = luma(pixels), torch.zeros_like(pixels[:, :1, :1, :1]), torch.ones_like(strength)
    for name, blend in BLENDS.items():
        degenerate = torch.where(drew[name][:, None, None, None], blend(pixels, grey), degenerate)
        factor = torch.where(drew[name], strength, factor)
    return (degenerate + factor[:, None, None, None] * (pixels - degenerate)).clamp(0, 255).to(torch.uint8)


def who_drew(operation: Tensor) -> dict[str, Tensor]:
    """Return, by the name of each operation, which images drew it; (B,) to bool (B,) each."""
    every = torch.arange(len(OPERATIONS), device=operation.device)
    return dict(zip(OPERATIONS, operation == every[:, None], strict=True))


def affine_map(operation: Tensor, strength: Tensor, height: int, width: int) -> Tensor:
    """Return the map that each image drew as a matrix, (B,) to (B, 3, 3).

    It takes (x, y, 1) of a pixel to where the pixel comes from. Coordinates are in pixels from the upper left corner,
    so the centre of the first pixel is (0.5, 0.5). Strengths are the tangent of a shear about the corner, the pixels of
    a translation to the left or up, and the degrees of an anticlockwise rotation about the centre. 0 moves nothing.
    """
    drew = who_drew(operation)
    shear_x, shear_y, left, up, degrees = (torch.where(drew[name], strength, 0) for name in MAPS)
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    return torch.stack([
        cos, shear_x - sin, left + (1 - cos) * width / 2 + sin * height / 2,
        shear_y + sin, cos, up + (1 - cos) * height / 2 - sin * width / 2,
        zero, zero, one,
    ], dim=1).view(-1, 3, 3)


def compose(maps: list[Tensor]) -> Tensor:
    """Compose several maps, (B, 3, 3) each, into one, with the first operation's map first."""
    result, *others = maps
    for other in others:
        # Multiply by hand: a GPU's matrix unit may round to eleven bits, which is a tenth of a pixel in 224.
        result = (result[:, :, :, None] * other[:, None]).sum(2)
    return result


def resample(images: Tensor, matrix: Tensor, fill: int) -> Tensor:
    """Sample each pixel bilinearly from where the map says; (B, C, H, W) and (B, 3, 3) to (B, C, H, W), uint8.

    Levels are rounded to the nearest, where Pillow rounds down. A pixel whose centre comes from outside gets ``fill``;
    within half a pixel of the edge, the outermost pixels are repeated, as in Pillow.
    """
    height, width = images.shape[2:]
    x, y, inside = places(matrix, height, width)
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=3)
    fetched = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return torch.where(inside[:, None], fetched.round(), fill).to(torch.uint8)


def resample_masks(masks: Tensor, matrix: Tensor) -> Tensor:
    """Sample the class of each pixel at the nearest pixel to where the map says, as Pillow does; (B, H, W) to the same.

    A pixel whose centre comes from outside gets class 0.
    """
    height, width = masks.shape[1:]
    x, y, inside = places(matrix, height, width)
    index = torch.where(inside, y.floor() * width + x.floor(), 0).long().flatten(1)
    return torch.where(inside, masks.flatten(1).gather(1, index).view_as(masks), 0)


def places(matrix: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the x and y that each pixel's centre comes from, and whether they are in the image, (B, H, W) each."""
    down, right = (torch.arange(size, device=matrix.device) + 0.5 for size in (height, width))
    (a, b, c), (d, e, f) = (row.unbind(1) for row in matrix[:, :2, :, None, None].unbind(1))
    x = a * right + b * down[:, None] + c
    y = d * right + e * down[:, None] + f
    return x, y, (0 <= x) & (x < width) & (0 <= y) & (y < height)
