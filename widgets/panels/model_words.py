"""What the model panel says, as HTML: of a model, of what one would take, of its checks, and of two together."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from widgets.panels.settings_panel import alert, explained, facts
from workbench.errors import ModelError, WorkbenchError
from workbench.models.verification import DIFFERS, NOT_APPLICABLE, OK
from workbench.samplers.switching.pair import check_vocabularies

if TYPE_CHECKING:
    from widgets.panels.model_fit import Fit
    from workbench.models import LanguageModel, Verification

_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_SIGNS = {OK: "✓", DIFFERS: "✗", NOT_APPLICABLE: "–"}
_NEEDED = "The weights as they would be held, and a tenth more; a long context takes memory of its own"
_REMEDY = "A smaller model or dtype bfloat16 needs less memory; if it goes on failing, restart the kernel."
_ALONE = (
    "Each still decodes, scores and is measured by itself, and their traces can be laid side by side. What needs one "
    "vocabulary is not possible: taking turns in one text, and comparing them token by token."
)


def size_words(amount: float) -> str:
    """Bytes in the largest unit that leaves a whole number before the point."""
    for unit, factor in _UNITS:
        if amount >= factor:
            return f"{amount / factor:.1f} {unit}"
    return f"{amount:.0f} bytes"


def count_words(parameters: int) -> str:
    """A number of parameters as people say it: 1.0 M, 7.6 B."""
    for unit, factor in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= factor:
            return f"{parameters / factor:.1f} {unit}"
    return str(parameters)


def reason_words(problem: Exception) -> str:
    """What went wrong and what to do, as plain text; errors of ours say both themselves."""
    if isinstance(problem, WorkbenchError):
        return str(problem)
    return f"{type(problem).__name__}: {problem}. {_REMEDY}"


def fit_words(fit: Fit, held: LanguageModel | None) -> str:
    """What loading would take and whether there is room, with the remedy where there is none."""
    memory = fit.memory
    free = "" if memory.available is None else f", {size_words(memory.available)} free"
    needed = explained(f"needs about <b>{size_words(memory.needed)}</b>", _NEEDED)
    line = facts(
        f"{count_words(memory.parameters)} parameters",
        f"{size_words(fit.weights)} {'to download' if fit.download else 'on disk'}" if fit.weights else "",
        f"{needed} in {escape(memory.dtype)} on {escape(memory.device)}{free}",
        "✓ fits" if memory.fits and memory.available is not None else "",
    )
    try:
        memory.check()
    except ModelError as problem:
        frees = "" if held is None else f" Unload {held.name} first: that frees {size_words(footprint(held))}."
        line += alert(f"{problem}{frees}")
    return f'<div style="line-height:1.5">{line}</div>'


def footprint(model: LanguageModel) -> int:
    """Bytes of its weights and buffers."""
    return int(model.hf.get_memory_footprint())


def ready_words(model: LanguageModel) -> str:
    """The model's facts; all that comes from its files is escaped."""
    marks = model.think_markers
    thinks = (
        "no think markers found"
        if marks is None
        else f"thinks between <code>{escape(marks.open_text)}</code> and <code>{escape(marks.close_text)}</code>"
    )
    head = facts(f"<b>{escape(model.name)}</b>", f"<b>{model.parameters:,}</b> parameters", _shape(model))
    return f"<div>{head}</div><div>" + facts(
        f"vocabulary {model.vocabulary:,}",
        f"context {model.context:,}" if model.context else "no limit of context",
        f"{escape(model.quantization or model.dtype)} on {escape(str(model.device))}",
        f"holds {size_words(footprint(model))}",
        f"revision {escape(model.revision[:12])}" if model.revision else "",
        thinks,
        "chat template" if model.has_chat_template else "no chat template: prompts are taken verbatim",
    ) + "</div>"  # fmt: skip


def _shape(model: LanguageModel) -> str:
    """Layers × heads, as the configuration has them."""
    config: Any = model.hf.config.get_text_config()
    layers = getattr(config, "num_hidden_layers", None)
    heads = getattr(config, "num_attention_heads", None)
    if not isinstance(layers, int):
        return ""
    return f"{layers} layers × {heads} heads" if isinstance(heads, int) else f"{layers} layers"


def verification_words(result: Verification) -> str:
    """The checks as a small table, each with a sign and a word."""
    rows = "".join(
        f'<tr><td style="white-space:nowrap">{_SIGNS[check.status]} {escape(check.status)}</td>'
        f'<th scope="row" style="text-align:left;white-space:nowrap">{escape(check.name)}</th>'
        f'<td style="white-space:normal">{escape(check.sentence)}</td></tr>'
        for check in result.checks
    )
    verdict = "" if result.ok else alert("What differs above can make the workbench's numbers wrong for this model.")
    return (
        f'<table class="workbench-verification" style="border-spacing:8px 1px;line-height:1.5">{rows}</table>{verdict}'
    )


def pair_words(first: LanguageModel | None, second: LanguageModel | None) -> str:
    """What the two can do together; "" without two."""
    if first is None or second is None:
        return ""
    try:
        check_vocabularies(first, second)
    except ModelError as problem:
        return alert(str(problem)) + f"<div>{_ALONE}</div>"
    names = [f"<b>{escape(model.name)}</b>" for model in (first, second)]
    ratio = max(first.parameters, second.parameters) / max(1, min(first.parameters, second.parameters))
    sizes = "they are of one size" if ratio < 1.05 else f"one has {ratio:.1f} times the other's parameters"
    return (
        f"<div>✓ {' and '.join(names)} share one vocabulary: they can take turns in one text and be compared token by "
        f"token; {sizes}.</div>"
    )
