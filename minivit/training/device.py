"""The device of a run: which one to use, and which precision suits it."""

import logging
import os
import re
import shutil
import warnings
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import torch

from minivit.options import check_choice
from minivit.training import parallel

# What torch raises if a device is absent, not supported, or out of memory.
FAILURES = (RuntimeError, AssertionError, ImportError, torch.cuda.DeferredCudaCallError)
CHOOSING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
PCI_DEVICES = Path("/sys/bus/pci/devices")


def choose_device(name: str | torch.device, *, many: bool = False) -> torch.device:
    """Return the device with this name; ``auto`` uses an accelerator if there is one that works, else the CPU.

    If ``auto`` falls back to the CPU where one might expect a GPU, it logs the reason in one line.

    Parameters
    ----------
    name
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
    many
        Whether several processes are allowed. Each then uses the GPU with its local rank, if the name has no number.

    Raises
    ------
    ValueError
        If there is no such device, if it doesn't work, or if there are several processes and ``many`` is False.
    """
    if parallel.asked_for() > 1 and not many:
        raise ValueError(f"WORLD_SIZE={os.environ['WORLD_SIZE']}: only train can use several processes; start this "
                         "command without torchrun")
    device = _best_device() if name == "auto" else _named_device(name)
    if parallel.asked_for() > 1 and device.type == "cuda" and device.index is None:
        return _named_device(f"cuda:{os.environ.get('LOCAL_RANK', 0)}")
    return device


def works(device: str | torch.device) -> bool:
    """Say whether the device works: whether it can store a number, add to it and return it."""
    try:
        _try(torch.device(device))
    except FAILURES:
        return False
    return True


def _named_device(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(f"device={str(name)!r} must be auto, cpu, cuda, cuda:1, mps, ...") from None
    try:
        _try(device)
    except FAILURES as error:
        raise ValueError(f"device={str(name)!r} is not available: {_reason(device, error)}; try cpu") from None
    return device


def _best_device() -> torch.device:
    known = torch.accelerator.current_accelerator()  # what this build of torch supports, whether or not there is one
    cpu = torch.device("cpu")
    if known is None:
        if _has_nvidia_driver():
            _tell_why(f"an NVIDIA driver is here, but torch {torch.__version__} was built without CUDA")
        return cpu
    try:
        _try(known)
    except FAILURES as error:
        if _has_no_driver(error) and not (_has_nvidia_card() or _has_nvidia_driver() or _choice()):
            return cpu  # like most laptops: nobody expects a GPU
        _tell_why(_reason(known, error))
        return cpu
    return known


def _try(device: torch.device) -> None:
    # Allocating memory is not enough: that works even if torch has no kernels for a card, and on `meta`.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns at length about what we say in one line
        torch.ones(1, device=device).add_(1).item()


def _tell_why(reason: str) -> None:
    logging.getLogger(__name__).warning("running on the CPU: %s", reason)


def _reason(device: torch.device, error: Exception) -> str:
    """Summarise in one plain line what torch said about a device."""
    said = str(error)
    if "driver on your system is too old" in said:
        found = re.search(r"found version (\d+)", said)
        knows = f"it knows CUDA {int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}, " if found else ""
        return (f"the NVIDIA driver is too old ({knows}torch {torch.__version__} needs {torch.version.cuda}); "
                "update it, or install torch for an older CUDA")
    if _has_no_driver(error):
        if _has_nvidia_card() or _has_nvidia_driver():
            return "an NVIDIA card is here, but no driver that torch finds; a container must be started with its GPUs"
        return "there is no NVIDIA driver" + (f" (and {_choice()} is set)" if _choice() else "")
    if re.search(r"No (CUDA|HIP) GPUs are available", said):
        return f"{_choice()} leaves no GPU to see" if _choice() else "the driver finds no GPU"
    if "no kernel image" in said:
        return f"torch {torch.__version__} has no kernels for {_card(device)}, only for {_supported()}"
    if "out of memory" in said:
        return f"no memory is left on {device}; another program may have taken it"
    if "MPS backend is supported" in said:
        return "macOS gives torch no Metal device; it needs macOS 14 or newer, and a GPU that this process may use"
    if isinstance(error, ImportError | NotImplementedError) or "not compiled with" in said:
        return f"torch {torch.__version__} was built without it"
    return said.strip().splitlines()[0].split(". ")[0].rstrip(".") if said.strip() else type(error).__name__


def _has_no_driver(error: Exception) -> bool:
    return "Found no NVIDIA driver" in str(error)


def _choice() -> str:
    """Return the variables that limit which GPUs this process sees, with their values; empty if none is set."""
    return " ".join(f"{name}={os.environ[name]!r}" for name in CHOOSING if name in os.environ)


def _has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _has_nvidia_card() -> bool:
    """Look for an NVIDIA display or 3D controller on the PCI bus, which Linux lists even without a driver."""
    with suppress(OSError):
        return any((card / "vendor").read_text(encoding="ascii").strip() == "0x10de"
                   and (card / "class").read_text(encoding="ascii").startswith("0x03")
                   for card in PCI_DEVICES.iterdir())
    return False


def _card(device: torch.device) -> str:
    with suppress(*FAILURES):
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"
    return f"the GPU {device}"


def _supported() -> str:
    return ", ".join(torch.cuda.get_arch_list()) or "others"


def failure(error: Exception) -> str | None:
    """Explain in one line an error of the device or of another process; return None for other errors.

    An error that came while another was handled, as when the recording of a graph breaks off, is explained by that one.
    """
    if isinstance(error.__context__, RuntimeError) and (reason := failure(error.__context__)):
        return reason
    said = str(error)
    if isinstance(error, torch.OutOfMemoryError) or re.search(r"can't allocate memory|not enough memory", said):
        found = re.search(r"total capacity of ([\d.]+ \w+)", said)
        return f"out of memory{f' ({found[1]} in all)' if found else ''}; try a smaller batch_size"
    if "does not have a deterministic implementation" in said:
        return f"{said.split(' does not have')[0]} has no deterministic kernel on this device; try deterministic=False"
    if isinstance(error, torch.distributed.DistError) or re.search("gloo|monitoredBarrier", said):
        behind = parallel.who_is_behind()
        return f"this process lost another one of the run ({behind or said.splitlines()[0]})"
    if isinstance(error, torch.AcceleratorError) or said.startswith("CUDA error"):
        return f"the GPU failed ({said.splitlines()[0]}); start again, on another one if it fails again"
    return None


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work; a CPU has when a call returns."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return ``float32`` or ``bfloat16``; ``auto`` chooses the latter if the device multiplies it in hardware.

    A CPU without such hardware takes a hundred times as long for it.

    Raises
    ------
    ValueError
        If the precision is another.
    """
    check_choice(("auto", "float32", "bfloat16"), precision=precision)
    if precision != "auto":
        return precision
    if device.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if fast else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Return a context in which a model computes in this precision; ``auto`` is allowed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=resolve_precision(precision, device) == "bfloat16")
