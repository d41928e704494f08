"""Devices and precisions by name."""

from __future__ import annotations

import warnings

import torch

from .checks import check_choice, show

_ALLOWED = "'auto', a torch device or its name such as 'cpu' or 'cuda:0'"


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn a device name into a torch device; ``"auto"`` takes the accelerator if there is one.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if isinstance(device, torch.device):
        return _there(device)
    if not isinstance(device, str):
        raise ValueError(f"device must be {_ALLOWED}, got {show(device)}.")
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        named = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"device must be {_ALLOWED}, got {show(device)}.") from error
    return _there(named)


def _there(device: torch.device) -> torch.device:
    """Refuse a device that this machine, or this build of torch, does not have."""
    try:
        torch.empty(1, device=device)
    except Exception as error:  # an AssertionError, a RuntimeError or a NotImplementedError, by the build
        raise ValueError(
            f"device={str(device)!r} cannot be used here: {error}. Pass 'auto', which takes what there is."
        ) from error
    return device


def supports_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware (emulation would be slower)."""
    if device.type == "cpu":
        features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False


def warn_of_emulation(name: str, dtype: str, device: torch.device) -> None:
    """Warn where bfloat16 was asked for and would be emulated.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    dtype : {"auto", "float32", "bfloat16"}
    device : torch.device
    """
    known = device.type == "cuda" or (device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"))
    if dtype == "bfloat16" and known and not supports_bf16(device):
        warnings.warn(
            f"{name}='bfloat16' on {device}, which does not multiply bfloat16 in hardware: this is slower "
            f"than float32. Pass {name}='auto', which takes bfloat16 only where it is faster.",
            UserWarning,
            stacklevel=3,
        )


def resolve_dtype(dtype: str, device: torch.device, *, name: str = "dtype") -> torch.dtype:
    """Turn ``"auto"``, ``"float32"`` or ``"bfloat16"`` into the dtype to compute in on `device`."""
    check_choice(name, dtype, ("auto", "float32", "bfloat16"))
    if dtype == "auto":
        return torch.bfloat16 if supports_bf16(device) else torch.float32
    return torch.float32 if dtype == "float32" else torch.bfloat16
