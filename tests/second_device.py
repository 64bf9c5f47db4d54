"""A second device for machines that have none: its tensors say they are there and compute here.

What a GPU would refuse is refused, such as adding a tensor that is on it to one that is not. What it would
give is what the processor gives, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

AFAR = "afar"
_CROSSING = ("aten::_to_copy", "aten::copy_")
_INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
"""Take indices from the processor."""


def register() -> None:
    """Tell torch of the device, once in a process and before its first backward pass.

    Raises ImportError where torch (before 2.9) cannot be told by Python alone.
    """
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(AFAR)
    # Checkpointing asks, to find autocast switched off.
    torch.get_device_module(AFAR).get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]


class Afar(Tensor):
    """A tensor on the second device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here: Tensor) -> Afar:
        about = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, here.shape, **about, device=torch.device(AFAR, 0))

    def __init__(self, here: Tensor) -> None:
        self.here = here

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        """As of any tensor; torch leaves it out for subclasses."""
        return self.detach().cpu().tolist()


@contextmanager
def second_device() -> Iterator[None]:
    """While inside, tensors can be made on `AFAR` and brought there."""
    with _FromLists(), _Dispatch():
        yield


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _FromLists(TorchFunctionMode):
    """`torch.tensor` fills its result past all dispatch: what it makes is brought to its device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        device = kwargs.pop("device", None) if func in (torch.tensor, torch.as_tensor) else None
        made = func(*args, **kwargs)
        return made if device is None else made.to(device)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, wanted = func._schema.name, kwargs.get("device")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(tensor, Afar) for tensor in tensors)
    if there and name not in _CROSSING:
        _refuse_strangers(name, tensors[:1] if name in _INDEXED else tensors)
    if wanted is not None:
        there = torch.device(wanted).type == AFAR
    elif name == "aten::copy_":
        there = isinstance(args[0], Afar)
    generator = kwargs.get("generator")
    if there and generator is not None and generator.device.type != AFAR:
        raise RuntimeError(f"{name}: the generator is on {generator.device}, the result on {AFAR}")
    near, given = tree_map(lambda leaf: leaf.here if isinstance(leaf, Afar) else leaf, (args, kwargs))
    made = func(*near, **(given if wanted is None else {**given, "device": torch.device("cpu")}))
    out = tree_map(lambda leaf: Afar(leaf) if there and isinstance(leaf, Tensor) else leaf, made)
    return return_and_correct_aliasing(func, args, kwargs, out)


def _refuse_strangers(name: str, tensors: list[Tensor]) -> None:
    for tensor in tensors:
        if not isinstance(tensor, Afar) and tensor.ndim:  # a number may come from anywhere
            raise RuntimeError(f"{name}: a tensor of {tuple(tensor.shape)} is on {tensor.device}, not {AFAR}")
