"""Checkpoints: weights as safetensors, everything else as JSON, never pickle.

A pickle runs code when it is opened; safetensors is a JSON header and raw numbers. A file is
written beside its place, synced to the disk and renamed into it, so that whoever looks sees the
old file whole or the new file whole, at whatever moment the power fails.
"""

import dataclasses
import importlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from llmcourse.distributed import gather, part_like

__all__ = [
    "dequantize_rows",
    "latest",
    "load",
    "load_into",
    "numbered",
    "optimizer_state",
    "quantize_rows",
    "read",
    "read_extra",
    "restore_optimizers",
    "save",
    "weights",
    "write_file",
    "write_folder",
]

WEIGHTS, CONFIG = "model.safetensors", "config.json"
SCALE = ".scale"  # an int8 matrix `w` is stored with its row scales beside it, as `w.scale`
# A checkpoint names its model; only these are built. Strings, so that none is imported idly.
KINDS = {
    "GPT": ("llmcourse.gpt", "GPT", "GPTConfig"),
    "LSTM": ("llmcourse.rnn", "LSTM", "RNNConfig"),
    "RNN": ("llmcourse.rnn", "RNN", "RNNConfig"),
    "FeedForward": ("llmcourse.feedforward", "FeedForward", "FeedForwardConfig"),
    "Seq2Seq": ("llmcourse.seq2seq", "Seq2Seq", "Seq2SeqConfig"),
}


def quantize_rows(
    matrix: Float[Tensor, "R C"],
) -> tuple[Int8[Tensor, "R C"], Float[Tensor, " R"]]:
    """Whole numbers in −127..127 and one scale a row: w ≈ scale · integer.

    The error of an entry is at most half its row's scale, that is max|row| / 254.
    """
    scale = matrix.abs().amax(dim=1).float() / 127
    safe = scale.clamp(min=torch.finfo(torch.float32).tiny)  # a row of zeros stays zeros
    return (matrix.float() / safe[:, None]).round().clamp(-127, 127).to(torch.int8), scale


def dequantize_rows(
    integers: Int8[Tensor, "R C"], scale: Float[Tensor, " R"]
) -> Float[Tensor, "R C"]:
    """The float32 matrix that `quantize_rows` came from, but for rounding."""
    return integers.float() * scale[:, None]


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # a rename is on disk only once its folder is
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _failed(error: OSError, path: Path) -> OSError:
    return OSError(
        error.errno,
        f"could not write the checkpoint ({error.strerror}): what was there before is untouched. "
        "Free some space or choose another folder, then run again to resume",
        str(path),
    )


def write_file(path: Path, data: bytes) -> None:
    """Replace one file as a whole, or leave it as it was.

    Raises:
        OSError: the disk is full or the folder not writable; the old file is untouched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(draft, data)
        os.replace(draft, path)
        _sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _failed(error, path) from error


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a new folder with these files appear as a whole, or not at all.

    Raises:
        OSError: the disk is full or the place not writable; nothing half-written stays.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(parents=True)
        for name, data in files.items():
            _write_synced(draft / name, data)
        _sync_folder(draft)
        os.rename(draft, folder)
        _sync_folder(folder.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise _failed(error, folder) from error


def _own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and saved buffers, each once: tied ones go under their first name."""
    kept = set(model.state_dict(keep_vars=True))
    tensors = dict(model.named_parameters())
    tensors.update((name, b) for name, b in model.named_buffers() if name in kept)
    return tensors


def weights(
    model: nn.Module, *, extra: Mapping[str, Any] | None = None, dtype: str = "float32"
) -> dict[str, bytes]:
    """A model as files, by name: what `save` writes. `extra` is anything JSON can hold.

    A sharded model is put together on process 0: every process must call this, and only what
    process 0 gets is of use.
    """
    if dtype not in ("float32", "bfloat16", "int8"):
        raise ValueError(f"dtype must be 'float32', 'bfloat16' or 'int8', got {dtype!r}")
    tensors: dict[str, Tensor] = {}
    for name, tensor in _own_tensors(model).items():
        tensor = gather(tensor)
        if dtype == "int8" and tensor.ndim == 2 and tensor.is_floating_point():
            tensors[name], tensors[name + SCALE] = quantize_rows(tensor)
        elif tensor.is_floating_point():
            tensor = tensor.to(torch.bfloat16 if dtype == "bfloat16" else torch.float32)
            tensors[name] = tensor.contiguous()
        else:
            tensors[name] = tensor.contiguous()
    config = getattr(model, "config", None)
    about = {
        "kind": type(model).__name__.removeprefix("FSDP"),  # torch renames what it has sharded
        "config": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else None,
        "dtype": dtype,
        "extra": dict(extra or {}),
    }
    text = json.dumps(about, indent=1, ensure_ascii=False, sort_keys=True)
    # In the header too: the weights alone then say what they are, and cannot be mismatched.
    data = safetensors.torch.save(tensors, {"llmcourse": text})
    return {WEIGHTS: data, CONFIG: text.encode() + b"\n"}


def save(
    model: nn.Module,
    folder: str | Path,
    *,
    extra: Mapping[str, Any] | None = None,
    dtype: str = "float32",
) -> Path:
    """Write a model's weights and configuration into a folder; returns the folder.

    Args:
        extra: anything JSON can hold, to be had again by `read_extra` (how it was trained, say).
        dtype: "int8" stores each matrix with one scale a row, a quarter of the size.

    Raises:
        OSError: the disk is full; an older checkpoint in the folder stays whole.
    """
    folder = Path(folder)
    for name, data in weights(model, extra=extra, dtype=dtype).items():
        write_file(folder / name, data)
    return folder


def numbered(folder: str | Path) -> list[Path]:
    """A training run's `step-…` folders, oldest first. Half-written ones are never among them."""
    steps = [f for f in Path(folder).glob("step-*") if f.name[5:].isdigit()]
    return sorted(steps, key=lambda f: int(f.name[5:]))


def latest(folder: str | Path) -> Path | None:
    """The newest `step-…` folder of a training run, or None."""
    return (numbered(folder) or [None])[-1]


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the header's own words of one safetensors file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, or is something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint file at {path}")
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = dict(file.metadata() or {})
            return {name: file.get_tensor(name) for name in file.keys()}, about
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is no checkpoint: it does not read as safetensors ({error}). Pickled files "
            "(.pt, .bin) are never opened, since opening one runs whatever code it holds"
        ) from error


def optimizer_state(
    made: Sequence[torch.optim.Optimizer],
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The optimisers' memory as tensors and plain numbers, both by dotted name."""
    tensors, numbers = {}, {}
    for i, optimizer in enumerate(made):
        for j, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{i}.{j}.{key}"] = gather(value).contiguous()
                else:
                    numbers[f"{i}.{j}.{key}"] = value
    return tensors, numbers


def restore_optimizers(
    made: Sequence[torch.optim.Optimizer],
    tensors: Mapping[str, Tensor],
    numbers: Mapping[str, float],
) -> None:
    """Give optimisers of the same model the memory that `optimizer_state` took."""
    for i, optimizer in enumerate(made):
        state: dict[int, dict[str, Any]] = {}
        params = [p for group in optimizer.param_groups for p in group["params"]]
        for name, value in {**tensors, **numbers}.items():
            which, parameter, key = name.split(".", 2)
            if int(which) == i:
                if isinstance(value, Tensor):
                    value = part_like(value, params[int(parameter)])
                state.setdefault(int(parameter), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def _find(folder: str | Path) -> Path:
    folder = Path(folder)
    if folder.is_file():
        return folder
    if not folder.exists():
        raise FileNotFoundError(f"no checkpoint at {folder}: there is no such folder")
    if not (folder / WEIGHTS).is_file():
        newest = latest(folder)
        if newest is None:
            found = sorted(f.name for f in folder.iterdir())[:8] or "nothing"
            raise FileNotFoundError(f"no {WEIGHTS} in {folder}, which holds {found}")
        folder = newest
    return folder / WEIGHTS


def _open(folder: str | Path) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
    path = _find(folder)
    tensors, header = read(path)
    if "llmcourse" not in header:
        raise ValueError(
            f"{path} holds tensors but was not saved by this course; "
            "`llmcourse.hf` reads Hugging Face's models"
        )
    about = json.loads(header["llmcourse"])
    beside = path.with_name(CONFIG)
    if beside.is_file():
        try:
            written = json.loads(beside.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"{beside} is no JSON ({error})") from error
        if not isinstance(written, dict) or written.get("config") != about["config"]:
            raise ValueError(f"{beside} describes another model than {path.name} beside it")
    for name in [n for n in tensors if n.endswith(SCALE)]:
        matrix = name.removesuffix(SCALE)
        if matrix in tensors and tensors[matrix].dtype == torch.int8:
            tensors[matrix] = dequantize_rows(tensors[matrix], tensors.pop(name))
    return path, tensors, about


def read_extra(folder: str | Path) -> dict[str, Any]:
    """What was given to `save` as `extra`."""
    return _open(folder)[2]["extra"]


def _differences(ours: Any, theirs: dict[str, Any] | None) -> str:
    if not dataclasses.is_dataclass(ours) or theirs is None:
        return ""
    # A setting that is younger than the file had its default then.
    young = {f.name: f.default for f in dataclasses.fields(ours) if f.name not in theirs}
    theirs = theirs | {k: v for k, v in young.items() if v is not dataclasses.MISSING}
    # Through JSON, where a tuple is a list, as the checkpoint's own came.
    mine = json.loads(json.dumps(dataclasses.asdict(ours)))
    rows = [
        f"{k}: model {mine.get(k)!r}, checkpoint {theirs.get(k)!r}"
        for k in sorted(mine.keys() | theirs.keys())
        if mine.get(k) != theirs.get(k)
    ]
    return "; ".join(rows)


@torch.no_grad()
def load_into(model: nn.Module, folder: str | Path) -> None:
    """Fill a model's parameters from a checkpoint of the same configuration.

    Raises:
        ValueError: the checkpoint is of another configuration; the message says what differs.
            The model is then unchanged.
    """
    path, tensors, about = _open(folder)
    if differ := _differences(getattr(model, "config", None), about["config"]):
        raise ValueError(f"{path} is a checkpoint of another configuration: {differ}")
    own = _own_tensors(model)
    for name in sorted(own.keys() | tensors.keys()):
        there = tuple(tensors[name].shape) if name in tensors else "nothing"
        here = tuple(own[name].shape) if name in own else "nothing"
        if there != here:
            raise ValueError(
                f"{path} is a checkpoint of another configuration: "
                f"{name} is {there} in the file and {here} in the model"
            )
    for name, tensor in own.items():
        tensor.copy_(part_like(tensors[name], tensor))


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> nn.Module:
    """Build the model a checkpoint describes and fill it, in evaluation mode.

    `folder` may also be a training run's: the newest checkpoint in it is taken.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: the file is no checkpoint, is damaged, or its parts disagree.
    """
    path, _, about = _open(folder)
    if about["kind"] not in KINDS or about["config"] is None:
        raise ValueError(
            f"{path} holds a {about['kind']}, which can be loaded only into a model that you "
            f"build yourself (`load_into`); `load` builds {sorted(KINDS)}"
        )
    module_name, model_name, config_name = KINDS[about["kind"]]
    module = importlib.import_module(module_name)
    try:
        config = getattr(module, config_name)(**about["config"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} has a configuration this version cannot use: {error}") from error
    model = getattr(module, model_name)(config)
    load_into(model, path)
    return model.to(device).eval()
