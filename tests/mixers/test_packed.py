import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from minivit.mixers import Attention

SHAPES = [(65, 3, 64), (33, 2, 64), (7, 5, 16), (128, 1, 32), (1, 2, 16), (97, 1, 16)]  # tokens, heads, head size
CHECK = """
import torch
from tests.mixers.test_packed import SHAPES, compare, compare_layers
for shape in SHAPES:
    compare(*shape, torch.float32, "cpu", 2e-6)
compare_layers()
"""


def compare(tokens, num_heads, head_size, dtype, device, tolerance):
    from minivit.mixers.packed import attend_packed

    torch.manual_seed(0)
    ours, d_out = (torch.randn(2, tokens, n * num_heads * head_size).to(device, dtype) for n in (3, 1))
    theirs = ours.double().requires_grad_()
    out = attend_packed(ours.requires_grad_(), num_heads)
    q, k, v = (part.unflatten(-1, (num_heads, head_size)).transpose(1, 2) for part in theirs.chunk(3, dim=-1))
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    out.backward(d_out)
    expected.backward(d_out.double())
    for got, right in ((out, expected), (ours.grad, theirs.grad)):
        assert (got - right).norm() <= tolerance * right.norm(), (tokens, num_heads, head_size)


def compare_layers():
    """Compare a layer that takes the kernel, as it is and compiled, with itself without."""
    from minivit.mixers import attention

    torch.manual_seed(0)
    layer, x = Attention(96, 3), torch.randn(5, 17, 96, requires_grad=True)
    results = []
    for taken, forward in ((False, layer), (True, layer), (True, torch.compile(layer, backend="aot_eager"))):
        attention.fits_one_kernel = lambda qkv, heads, taken=taken: taken
        out = forward(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])))
    for others in results[1:]:
        torch.testing.assert_close(others, results[0], atol=1e-5, rtol=1e-5)


def test_is_attention_and_its_gradient_by_tritons_interpreter():
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}  # read as Triton is imported, so in a process of its own
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("tokens, sizes", [(33, (64, 0)), (65, (64, 16))])
def test_compiles_for_a_gpu_that_is_not_here(tokens, sizes, tmp_path, monkeypatch):
    pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from minivit.mixers import packed

    assert packed.pieces(tokens) == sizes
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants = {"head_size": 32} | dict(zip(("size0", "size1"), sizes, strict=True))
    for kernel in (packed._forward, packed._backward):
        types = {name: "constexpr" if name in constants else "fp32" if name == "scale" else
                 "i32" if name in ("n", "num_heads") else "*bf16" for name in kernel.arg_names}
        compiled = compile(ASTSource(kernel, types, {(kernel.arg_names.index(name),): value
                                                     for name, value in constants.items()}),
                           GPUTarget("cuda", 90, 32), {"num_warps": 4, "num_stages": 1})
        assert compiled.metadata.shared <= 64 * 1024  # bytes of shared memory: at least three programs at once


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_is_attention_and_its_gradient_on_a_gpu(shape):
    compare(*shape, torch.bfloat16, "cuda", 1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_attention_takes_it_and_gives_what_it_gives_without(monkeypatch):
    from minivit.mixers import packed

    torch.manual_seed(0)
    layer, x = Attention(96, 3).to("cuda"), torch.randn(5, 17, 96, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        out = layer(x)
        assert packed.fits(layer.qkv(x), 3)
        monkeypatch.setattr(packed, "fits", lambda *_: False)
        torch.testing.assert_close(out, layer(x), atol=1e-2, rtol=1e-2)
