"""Find, without a GPU, what keeps a step from being captured as a graph: waiting for the device, or feeding it.

On a CPU nothing waits, so calls are judged by what they would do on another device. PyTorch helps with most of them:
its operators carry tags if results depend on values. A copy to the device that a tensor is already on reaches no
operator, and is caught when it is called.
"""

import contextlib

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {"tolist", "numpy", "cpu", "__array__"}  # of a tensor, by the host
SAME_SHAPE = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default,
              torch.ops.aten._index_put_impl_.default, torch.ops.aten._unsafe_index.Tensor)
FROM_HOST = (torch.ops.aten.lift_fresh.default, torch.ops.aten.lift_fresh_copy.default)


class HostError(AssertionError):
    """A step that waits for the device, or that feeds it from the host."""


@contextlib.contextmanager
def host_free():
    """Raise :class:`HostError` inside the ``with`` block on what cannot be captured."""
    with torch.device("meta"), _Calls(), _Operators():  # what is made without a device gets a wrong one
        yield


class _Operators(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if torch.Tag.data_dependent_output in function.tags:
            raise HostError(f"{function} reads values")
        if function in SAME_SHAPE:
            if any(place.dtype in (torch.bool, torch.uint8) for place in args[1] if place is not None):
                raise HostError(f"{function} by a mask: how much is chosen depends on values")
        elif torch.Tag.dynamic_output_shape in function.tags:
            raise HostError(f"{function} has a shape that depends on values")
        if function in FROM_HOST:
            raise HostError(f"{function} makes a tensor of what the host has")
        devices = {tensor.device for tensor in tensors} | {kwargs.get("device") or tensor.device for tensor in tensors}
        if len(devices) > 1:
            raise HostError(f"{function} is between devices: {', '.join(sorted(map(str, devices)))}")
        return function(*args, **kwargs)


class _Calls(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in READS:
            raise HostError(f"{name}() reads values")
        if name == "to" and any(isinstance(argument, str) for argument in (*args[1:], kwargs.get("device"))):
            raise HostError("to() names a device")
        return function(*args, **kwargs)
