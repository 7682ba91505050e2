"""Profile a training step by kernel: the time that each takes, and what it is for.

The names of kernels say most, but not whether a product belongs to the model or to the optimiser. So these parts of a
step are also profiled separately, and their times are subtracted from the step's.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from minivit.training.device import synchronize

STEPS = 3
AUGMENTATION, OPTIMISER, REST = "augmentation", "optimiser", "the rest"
# The first match counts: the name of a fused kernel lists all that it does.
CATEGORIES = {
    "attention": r"sdpa|scaled_dot|flash|attention|attend_packed|compute_dot_do_o|convert_dq|^_(for|back)ward$"
                 r"|fused_cat_|softmax|bmm",
    "GELU": r"gelu",
    "matrix products": r"nvjet|gemm|cutlass|cublas|splitK|conv|n(chw|hwc)ToN|aten::(add)?mm$",
    OPTIMISER: r"multi_tensor|CatArrayBatchedCopy_vectorized|adam|lerp",
    AUGMENTATION: r"distribution|sampler|gather|arange|sort|cumsum|flip|aten::(rand|uniform|bernoulli)",
    "norms and residual sums": r"layer_norm|GammaBeta|fused_(_to_copy_)?(add|div_mul)_(div_mul_)?(sum_)?(view|\d+)",
}


def category(name: str) -> str:
    """Say what a kernel, or on a CPU an operator, is for."""
    return next((title for title, words in CATEGORIES.items() if re.search(words, name)), REST)


def kernel_table(step: Callable[[], Any], parts: Mapping[str, Callable[[], Any]],
                 device: torch.device) -> list[dict[str, Any]]:
    """Profile a few steps.

    Parameters
    ----------
    step
        Takes one training step.
    parts
        By category, what does this part of the step alone; see :meth:`minivit.bench.models.Subject.parts`.
    device
        What the step runs on.

    Returns
    -------
    list of dict
        For each kernel, slowest first: ``name``, ``category``, and ``calls`` and ``us`` (microseconds) per step.
    """
    whole, rows = profiled(step, device), []
    for title, part in parts.items():
        for name, (calls, us) in profiled(part, device).items():
            if name in whole:
                calls, us = min(calls, whole[name][0]), min(us, whole[name][1])
                whole[name] = (whole[name][0] - calls, whole[name][1] - us)
                rows.append({"name": name, "category": title, "calls": calls, "us": us})
    rows += [{"name": name, "category": category(name), "calls": calls, "us": us}
             for name, (calls, us) in whole.items() if us > 0]
    return [row | {"us": round(row["us"], 1)} for row in sorted(rows, key=lambda row: -row["us"])]


def by_category(kernels: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the milliseconds per step of each category of :func:`kernel_table`, in the order of the kernels."""
    spent: dict[str, float] = {}
    for row in kernels:
        spent[row["category"]] = spent.get(row["category"], 0.0) + row["us"] / 1e3
    return spent


def profiled(function: Callable[[], Any], device: torch.device) -> dict[str, tuple[float, float]]:
    """Call ``function``; return the launches and microseconds per call, by kernel, or on a CPU by operator."""
    on_gpu = device.type == "cuda"
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler announces that it starts
    function()  # the first call may allocate memory or compile
    synchronize(device)
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as recorded:
        for _ in range(STEPS):
            function()
        synchronize(device)
    return {event.key: (event.count / STEPS, (event.self_device_time_total if on_gpu else event.self_cpu_time_total)
                        / STEPS) for event in recorded.key_averages()}
