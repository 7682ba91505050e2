"""Time the steps of our models and of those of other libraries, interleaved in one run.

Two measurements taken one after the other also differ by what else the machine was doing. So every round times each
model once, in random order, and models are compared within a round.
"""

import platform
import random
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from tqdm import tqdm

import minivit
from minivit.analysis import cost
from minivit.bench.kernels import OPTIMISER, by_category, kernel_table
from minivit.bench.memory import peak_bytes
from minivit.bench.peers import PEERS, create_peers
from minivit.models import ViT, create_model
from minivit.models.registry import MODELS
from minivit.options import check_at_least, check_options
from minivit.report.table import text_table
from minivit.training.compilation import compile_parts, compiling
from minivit.training.device import autocast, choose_device, synchronize
from minivit.training.graph import Replay
from minivit.training.record import commit, describe_device

OURS = "minivit"                        # the subject that the others are compared with
SIZES = ("image_size", "patch_size", "num_classes", "dim", "depth", "num_heads")
PHASES = {"forward": 1, "training": 3}  # work in forward passes: a product needs two more for its gradients
TURN_S = 0.1                            # shorter steps are repeated for this long: one alone is too noisy
WARMUP_STEPS = 3
MATRIX_SIDES = (512, 1024, 2048)        # sides of the matrices that measure the machine's peak
GPU_MATRIX_SIDES = (2048, 4096, 8192)


class Subject:
    """A model with an optimiser and a batch, whose forward pass and training step are timed.

    Parameters
    ----------
    model
        Maps images (B, C, H, W) to logits (B, K).
    images, labels
        The batch, the same at each step.
    precision
        ``float32``, or ``bfloat16`` for autocast.
    compiled, recorded
        Whether to compile the model's blocks, and to record each step as a CUDA graph, before timing.
    """

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor, *, precision: str, compiled: bool,
                 recorded: bool = False):
        self.model, self.images, self.labels, self.precision = model, images, labels, precision
        self.compiled, self.recorded, self.replays = compiled, recorded, {}
        self.optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True,
                                             capturable=images.is_cuda)]

    def compile(self) -> None:
        if self.compiled:
            compile_parts(self.model)

    def logits(self) -> Tensor:
        with autocast(self.precision, self.images.device):
            return self.model(self.images)

    @torch.no_grad()
    def forward(self) -> None:
        self.logits()

    def training(self) -> None:
        loss = F.cross_entropy(self.logits().float(), self.labels)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.model.zero_grad()

    def update(self) -> None:
        """Update the parameters as at the end of a training step; where there's no gradient, by zeros."""
        for p in self.model.parameters():
            if p.requires_grad and p.grad is None:
                p.grad = torch.zeros_like(p)
        for optimizer in self.optimizers:
            optimizer.step()

    def parts(self) -> dict[str, Callable[[], None]]:
        """Return, by the category of its kernels, what does a part of a training step alone."""
        return {OPTIMISER: self.update}

    def kernels(self) -> list[dict[str, Any]]:
        """Profile training steps: see :func:`minivit.bench.kernels.kernel_table`."""
        return kernel_table(self.prepare("training"), self.parts(), self.images.device)

    def prepare(self, phase: str) -> Callable[[], None]:
        """Set the model to the mode of a phase and return the function that takes one step."""
        self.model.train(phase == "training")
        if self.recorded and phase not in self.replays:
            self.replays[phase] = Replay(getattr(self, phase))
        return self.replays.get(phase) or getattr(self, phase)

    def peak_bytes(self, phase: str) -> int | None:
        """Take a step and return its peak memory, including the parameters and, in training, the optimiser's state.

        None for a compiled model, unless it runs on CUDA: the memory can't be measured.
        """
        device = self.images.device
        if self.compiled and device.type != "cuda":
            return None
        self.model.train(phase == "training")
        standing = [*self.model.parameters(), *self.model.buffers()]
        if phase == "training":
            standing += tree_leaves([dict(optimizer.state) for optimizer in self.optimizers])
        return sum(x.nbytes for x in standing if isinstance(x, Tensor)) + peak_bytes(getattr(self, phase), device)


def bench(models: Sequence[str] = ("vit_tiny_patch4_32",), *, batch_size: int = 64,
          precision: Literal["float32", "bfloat16"] = "float32", device: str = "auto", rounds: int = 10,
          compiled: bool = False, recorded: bool = False, kernels: bool = False,
          tell: Callable[[str], Any] = warnings.warn) -> dict[str, Any]:
    """Time forward passes and training steps of our models, plain and with CB, and of timm's and vit-pytorch's.

    A training step consists of forward pass, cross-entropy, backward pass and fused AdamW, on a batch that is on the
    device already. The models of other libraries have the width, depth, heads, patches, batch, precision and optimiser
    of ours. Their time is divided by ours in each round, and the ratios are summarised by median and quartiles. Times
    are medians. The matrix peak is the highest speed that products of square matrices reached in the same run, in the
    same precision.

    Parameters
    ----------
    models
        Names for :func:`minivit.models.create_model`.
    batch_size
        Images per step.
    precision
        ``float32``, or ``bfloat16`` for autocast.
    device
        ``cpu``, ``cuda``, ...; ``auto`` uses an accelerator if there is one.
    rounds
        Number of rounds.
    compiled, recorded
        Whether to compile the blocks of every model with ``torch.compile``, and to record every step as a CUDA graph.
    kernels
        Whether to profile each training step by kernel; see :func:`minivit.bench.kernels.kernel_table`.
    tell
        Called with a line for each library whose model can't be created.

    Returns
    -------
    dict
        Plain values, ready for JSON: the settings and the machine, and ``models``, by name, then by subject
        (``minivit``, ``minivit, cb`` and the other libraries): ``params``, ``macs`` (multiply-adds of one image's
        forward pass), and for ``forward`` and ``training`` ``images_per_second``, ``step_time_s``, ``step_times_s``
        (one per round), ``peak_memory_bytes`` (None if it can't be measured), ``peak_share`` (multiply-adds per second
        divided by the matrix peak) and ``time_ratio`` (step time divided by that of ``minivit`` in the same round:
        ``median`` and the quartiles ``low`` and ``high``). With ``kernels``, ``training`` also has these.

    Raises
    ------
    ValueError
        If a model is unknown, a device is not available, or an argument is out of range.
    """
    check_options(bench, {"batch_size": batch_size, "precision": precision, "rounds": rounds}, "bench")
    check_at_least(1, batch_size=batch_size, rounds=rounds)
    chosen = choose_device(device)
    if recorded and chosen.type != "cuda":
        raise ValueError(f"recorded={recorded}: {chosen} has no CUDA graphs; they need an NVIDIA GPU")
    ours = [{OURS: create_model(name), f"{OURS}, cb": create_model(name, context="cb")} for name in models]
    groups, missing = {}, {}
    for name, plain_and_cb in zip(models, ours, strict=True):
        model_class, sizes = MODELS[name]
        peers, reasons = create_peers(**{size: sizes[size] for size in SIZES}) if model_class is ViT else ({}, {})
        for peer, reason in reasons.items():
            if peer not in missing:
                tell(f"{peer} is not measured: {reason}")
        missing |= reasons
        image_size = sizes["image_size"]
        images = torch.randn(batch_size, 3, image_size, image_size).to(chosen)
        labels = torch.randint(sizes["num_classes"], (batch_size,)).to(chosen)
        groups[name] = {key: Subject(model.to(chosen), images, labels, precision=precision, compiled=compiled,
                                    recorded=recorded)
                        for key, model in (plain_and_cb | peers).items()}
    settings = {"batch_size": batch_size, "precision": precision, "compiled": compiled, "recorded": recorded,
                "rounds": rounds, "missing": missing}
    return describe_machine(chosen, missing) | settings | measure_groups(groups, rounds, kernels)


def describe_machine(device: torch.device, missing: Iterable[str] = PEERS) -> dict[str, Any]:
    """Return device, versions, commit and date of a measurement; ``missing`` are the libraries left out."""
    return {"device": describe_device(device), "versions": versions(missing), "commit": commit(),
            "started": datetime.now(UTC).isoformat(timespec="seconds")}


def measure_groups(groups: dict[str, dict[str, Subject]], rounds: int, kernels: bool) -> dict[str, Any]:
    """Compare the subjects of each group with its first; return ``models`` and ``matrix_peak_macs_per_second``."""
    results, peak = {}, 0.0
    for title, subjects in groups.items():
        # Count before compiling, which replaces the operations that are counted.
        costs = {key: cost(subject.model, subject.images.shape[-2:], subject.images.shape[1])
                 for key, subject in subjects.items()}
        for subject in subjects.values():
            subject.compile()
        compiled = any(subject.compiled for subject in subjects.values())
        with compiling("default" if compiled else "none"):
            times, memory, best = measure(subjects, rounds, title)
            profiles = {key: subject.kernels() for key, subject in subjects.items()} if kernels else {}
        peak, first = max(peak, best), next(iter(subjects))
        results[title] = {key: {"params": costs[key].params, "macs": costs[key].macs}
                               | {phase: summary(times[phase][key], times[phase][first], len(subject.images))
                                         | {"peak_memory_bytes": memory[phase][key]} for phase in PHASES}
                          for key, subject in subjects.items()}
        for key, profile in profiles.items():
            results[title][key]["training"]["kernels"] = profile
    for result in (result for subjects in results.values() for result in subjects.values()):
        for phase, passes in PHASES.items():
            speed = passes * result["macs"] * result[phase]["images_per_second"]
            result[phase]["peak_share"] = speed / peak
    return {"matrix_peak_macs_per_second": peak, "models": results}


def measure(subjects: dict[str, Subject], rounds: int, title: str) -> tuple[dict, dict, float]:
    """Return the seconds per step, one per round, and the peak bytes, by phase and subject, and the matrix peak."""
    first = next(iter(subjects.values()))
    device, precision = first.images.device, first.precision
    repeats, memory = {}, {phase: {} for phase in PHASES}
    for phase in PHASES:
        for key, subject in subjects.items():
            step = subject.prepare(phase)
            seconds(step, WARMUP_STEPS, device)
            repeats[phase, key] = max(1, round(TURN_S / seconds(step, 1, device)))
            memory[phase][key] = subject.peak_bytes(phase)
    times = {phase: {key: [] for key in subjects} for phase in PHASES}
    peak, order = 0.0, random.Random(0)
    matrix_peak(device, precision)
    for _ in tqdm(range(rounds), desc=title, unit=" rounds", disable=None):
        peak = max(peak, matrix_peak(device, precision))
        for phase in PHASES:
            for key in order.sample(list(subjects), len(subjects)):
                step = subjects[key].prepare(phase)
                times[phase][key].append(seconds(step, repeats[phase, key], device))
    return times, memory, peak


def seconds(step: Callable[[], Any], repeats: int, device: torch.device) -> float:
    """Return the mean time of ``repeats`` consecutive steps, including the device's work."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / repeats


def matrix_peak(device: torch.device, precision: str) -> float:
    """Return the highest speed of products of square matrices of a few sizes, in multiply-adds per second."""
    peak = 0.0
    for side in MATRIX_SIDES if device.type == "cpu" else GPU_MATRIX_SIDES:
        a, b, out = torch.randn(3, side, side, device=device).to(getattr(torch, precision))
        peak = max(peak, side**3 / seconds(lambda a=a, b=b, out=out: torch.matmul(a, b, out=out), 1, device))
    return peak


def summary(times: list[float], our_times: list[float], batch_size: int) -> dict[str, Any]:
    """Summarise the rounds of one subject in one phase."""
    median = float(np.median(times))
    low, middle, high = np.quantile(np.divide(times, our_times), [0.25, 0.5, 0.75]).tolist()
    return {"images_per_second": batch_size / median, "step_time_s": median, "step_times_s": times,
            "time_ratio": {"median": middle, "low": low, "high": high}}


def versions(missing: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version(), "minivit": minivit.__version__, "torch": torch.__version__}
    for peer in PEERS:
        if peer not in missing:
            with suppress(PackageNotFoundError):
                found[peer] = version(peer)
    return found


def table(result: dict[str, Any]) -> str:
    """Format the result of :func:`bench` as text tables, in lines of at most 100 characters."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines = [result["device"], versions,
             f"{result['precision']}, {'compiled' if result['compiled'] else 'eager'}"
             f"{', recorded' if result['recorded'] else ''}, batch {result['batch_size']}, "
             f"{result['rounds']} rounds; "
             f"matrix peak {result['matrix_peak_macs_per_second'] / 1e9:.1f} G multiply-adds/s"]
    for name, subjects in result["models"].items():
        first = next(iter(subjects))
        for phase in PHASES:
            rows = [[f"{name}, {phase}", "images/s", "ms per step", "peak MB", "% of matrix peak",
                     f"time over {first}'s"]]
            for key, subject in subjects.items():
                got, ratio = subject[phase], subject[phase]["time_ratio"]
                memory = got["peak_memory_bytes"]
                rows.append([key, f"{got['images_per_second']:.1f}", f"{1e3 * got['step_time_s']:.1f}",
                             "-" if memory is None else f"{memory / 1e6:.1f}", f"{100 * got['peak_share']:.1f}",
                             f"{ratio['median']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"])
            lines += ["", text_table(rows, "<>>>><")]
        profiles = {key: by_category(subject["training"].get("kernels", ())) for key, subject in subjects.items()}
        if any(profiles.values()):
            rows = [[f"{name}, ms of a step's kernels", *profiles]]
            rows += [[what, *(f"{spent.get(what, 0.0):.2f}" for spent in profiles.values())]
                     for what in dict.fromkeys(what for spent in profiles.values() for what in spent)]
            lines += ["", text_table(rows, "<" + len(profiles) * ">")]
    return "\n".join([*lines, "", "Time over the first's: median [quartiles] over the rounds; above 1, the first is "
                                  "faster. Peak MB:\nparameters, in training also the optimiser's state, and the most "
                                  "that a step's tensors take at once."])
