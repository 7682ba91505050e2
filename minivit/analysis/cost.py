"""What a model costs: parameters and multiply-adds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, prod

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from minivit.options import check_at_least, image_sides
from minivit.wrappers import as_input, unwrap


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes
    ----------
    params
        Number of trainable parameters.
    macs
        Multiply-adds of one forward pass on one image: matrix products, convolutions, the additions of means, and
        elementwise products of tensors.
    macs_by_module
        The same by dotted module name, for each module that does any; a module's count includes its children.
    """

    params: int
    macs: int
    macs_by_module: dict[str, int]

    def __str__(self) -> str:
        return f"{self.params / 1e6:.1f} M parameters, {self.macs / 1e9:.2f} G multiply-adds"


def cost(model: nn.Module, image_size: int | Sequence[int], in_channels: int = 3) -> Cost:
    """Count the parameters of a model and the multiply-adds that one image of this size takes.

    PyTorch's own counter sees matrix products and convolutions, but not what context modules consist of: a mean over n
    numbers takes n additions, a gate on n numbers n products, and each counts as n multiply-adds, as in the CB paper
    (tables S16 and S17). A Fourier transform of n real numbers counts as n log₂ n. Softmax, LayerNorm, GELU, sums and
    products with constants are left out, as usual.

    Parameters
    ----------
    model
        Any module that takes images (1, in_channels, height, width); of a wrapped model, the inside is counted. It runs
        once, in evaluation mode and without gradients, on the device and in the precision of its parameters. Its mode
        is restored afterwards.
    image_size
        Side in pixels, or (height, width).
    in_channels
        Channels of the image.

    Raises
    ------
    ValueError
        If a number is out of range, or the model takes images of another shape.
    """
    from torch.utils.flop_counter import FlopCounterMode  # brings Triton, which takes a tenth of a second

    check_at_least(1, in_channels=in_channels)
    model = unwrap(model)
    image = as_input(torch.zeros(1, in_channels, *image_sides(image_size)), model)
    counter = FlopCounterMode(display=False, custom_mapping={
        torch.ops.aten.mean: mean_flops, torch.ops.aten.mul: mul_flops,
        torch.ops.aten._fft_r2c: fft_flops, torch.ops.aten._fft_c2r: inverse_fft_flops})
    was_training = model.training
    try:
        # The unfused kernel consists of products, which count the same on every back end.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            model.eval()(image)
    finally:
        model.train(was_training)
    flops = {name: sum(count.values()) for name, count in counter.get_flop_counts().items()}
    root = type(model).__name__
    return Cost(params=sum(p.numel() for p in model.parameters() if p.requires_grad),
                macs=counter.get_total_flops() // 2,
                macs_by_module={name.removeprefix(root + "."): n // 2 for name, n in flops.items()
                                if name.startswith(root + ".")})


# The counter counts a multiply-add as two operations, and passes the shapes of tensors to these functions.


def mean_flops(input_shape: torch.Size, *args, **kwargs) -> int:
    return 2 * prod(input_shape)


def mul_flops(input_shape: torch.Size, other: torch.Size | float, *args, out_shape: torch.Size, **kwargs) -> int:
    return 2 * prod(out_shape) if isinstance(other, torch.Size) else 0


def fft_flops(input_shape: torch.Size, dims: list[int], *args, **kwargs) -> int:
    points = prod(input_shape[dim] for dim in dims)
    return round(2 * prod(input_shape) * log2(points))


def inverse_fft_flops(*args, out_shape: torch.Size, **kwargs) -> int:
    return fft_flops(out_shape, args[1])
