"""Where to compute: CUDA, then Apple's MPS, then the CPU; and how much room there is."""

from __future__ import annotations

import psutil
import torch


def pick_device() -> torch.device:
    """The fastest device of this machine."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; others imitate it, many times slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last: ARM's
    return True


def use_threads(device: torch.device, threads: int) -> None:
    """On the CPU compute with this many threads; elsewhere the setting is left alone.

    While people label, one: two torch threads on two busy cores can fall to a twentieth of their speed.
    """
    if device.type == "cpu" and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device, in bytes; MPS shares the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; for honest timings."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
