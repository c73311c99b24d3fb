"""Look through a model's folder before anything in it is loaded or run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from workbench.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "tokenizer_config.json",
)


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """config.json as it is.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{name} holds no config.json, so it is no transformers model.{_instead(folder)}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is no valid JSON: {error}. Download or copy it again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds no configuration. Download or copy it again.")
    return config


def check_config(config: dict[str, Any], name: str, *, trust_remote_code: bool) -> None:
    """Refuse remote code that was not asked for, and what is no causal language model.

    Code that a folder brings for a model transformers has itself is not needed, and is not run.

    Raises:
        ModelError: see above, or a model type this transformers does not know.
    """
    kind = config.get("model_type")
    known = kind in CONFIG_MAPPING
    if "auto_map" in config and not known:
        if not trust_remote_code:
            code = ", ".join(map(str, config["auto_map"].values()))
            raise ModelError(
                f"{name} brings its own Python code ({code}), which would run on this machine. "
                "Read it first; if you trust it: wb.load(..., trust_remote_code=True)."
            )
        return
    if not known:
        raise ModelError(
            f"transformers {transformers.__version__} knows no model type {kind!r} ({name}). A newer transformers may: "
            "pip install -U transformers."
        )
    causal = {entry for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() for entry in _as_list(names)}
    saved = _as_list(config.get("architectures") or [])
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or (saved and not causal.intersection(saved)):
        what = ", ".join(saved) or str(kind)
        raise ModelError(
            f"{name} is no causal language model ({what}): the workbench needs one that predicts the next token."
        )


def check_tokenizer(folder: Path, name: str) -> None:
    """Whether there is a tokenizer.

    Raises:
        ModelError: there is none.
    """
    if any((folder / file).is_file() for file in _TOKENIZER_FILES) or any(folder.glob("*.tiktoken")):
        return
    raise ModelError(
        f"{name} holds no tokenizer. Put the one it was trained with beside it: tokenizer.save_pretrained('{folder}'). "
        "Or use the model with token ids alone: wb.wrap(AutoModelForCausalLM.from_pretrained(folder))."
    )


def _instead(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return " It is an adapter: load its base model with transformers and peft, then wb.wrap(model, tokenizer)."
    if any(folder.glob("*.gguf")):
        return " It holds GGUF files: give the folder of the original model, or wb.wrap one loaded with gguf_file=."
    inner = [path.parent.name for path in folder.glob("*/config.json")]
    return f" Did you mean its folder {inner[0]!r}?" if inner else ""


def _as_list(value: str | list[str] | tuple[str, ...]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
