"""Head statistics against `output_attentions=True` and against plain sdpa: time and memory, a process each.

`python -m tests.benchmarks.bench_heads statistics 1024` measures one of them alone.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import workbench as wb
from workbench import attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LENGTHS = (1024, 2048)
BUDGETED = 2048
"""The length the design's budget on time is for; shorter texts spend most of their time in the other layers."""
LONGEST = 8192
FASTER, SMALLER, GROWTH = 2.0, 5.0, 1.1
REPEATS = 3
SIZES = {
    "vocab_size": 512, "hidden_size": 1024, "num_hidden_layers": 8, "intermediate_size": 3072,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": LONGEST,
    "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip


def model(**changes: Any) -> wb.LanguageModel:
    """A random Qwen3 of 8 layers with 16 heads of 128 and a vocabulary too small to matter."""
    from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: PLC0415  -- the parent process needs no model

    torch.manual_seed(0)
    return wb.wrap(Qwen3ForCausalLM(Qwen3Config(**{**SIZES, **changes})).eval())


def tokens(length: int) -> list[int]:
    """Random tokens."""
    return torch.randint(0, SIZES["vocab_size"], (length,), generator=torch.Generator().manual_seed(1)).tolist()


def statistics(one: wb.LanguageModel, ids: list[int]) -> torch.Tensor:
    """Every statistic of every row; the entropies (L, H, T)."""
    return torch.from_numpy(attention.head_stats(one, ids).values("entropy"))


def output_attentions(one: wb.LanguageModel, ids: list[int]) -> torch.Tensor:
    """The entropies (L, H, T) and nothing else, from the weights transformers gives."""
    with torch.inference_mode():
        made = one.hf(torch.tensor([ids]), output_attentions=True, use_cache=False, logits_to_keep=1).attentions
        return torch.stack([torch.special.entr(layer[0]).sum(dim=-1) for layer in made])


def sdpa(one: wb.LanguageModel, ids: list[int]) -> None:
    """The model alone."""
    with torch.inference_mode():
        one.hf(torch.tensor([ids]), use_cache=False, logits_to_keep=1)


WAYS: dict[str, Callable[[wb.LanguageModel, list[int]], torch.Tensor | None]] = {
    "statistics": statistics, "output_attentions": output_attentions, "sdpa": sdpa,
}  # fmt: skip


def measure(way: str, length: int, repeats: int = REPEATS, **changes: Any) -> dict[str, float]:
    """In this process: the best seconds of `repeats`, and bytes at the peak beyond those the warm model held."""
    one = model(**changes)
    if way == "output_attentions":
        one.hf.set_attn_implementation("eager")
    WAYS[way](one, tokens(64))
    before, taken = peak(), []
    for _ in range(repeats):
        began = time.perf_counter()
        WAYS[way](one, tokens(length))
        taken.append(time.perf_counter() - began)
    return {"seconds": min(taken), "bytes": peak() - before}


def peak() -> int:
    """Bytes that this process has held at most."""
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says here begins with the most that the process's parent held
        return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)[1])
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes


def measured(way: str, length: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_heads", way, str(length)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def rows() -> Iterator[dict]:
    """At each length time and memory against output_attentions, and time against sdpa; then what the length costs."""
    found = {}
    for length in LENGTHS:
        found |= {(way, length): measured(way, length) for way in WAYS}
        ours, peer, alone = (found[way, length] for way in ("statistics", "output_attentions", "sdpa"))
        faster = peer["seconds"] / ours["seconds"]
        most = f"the model alone is {peer['seconds'] / alone['seconds']:.2f}x faster than with output_attentions"
        yield row(f"head statistics, {length} tokens: time", "output_attentions=True, entropy", (ours, peer), faster,
                  budget=FASTER if length == BUDGETED else None, note=most)  # fmt: skip
        smaller = peer["bytes"] / ours["bytes"]
        yield row(f"head statistics, {length} tokens: memory", "output_attentions=True, entropy", None, smaller,
                  budget=SMALLER, note=f"{megabytes(ours)} against {megabytes(peer)} beyond the model")  # fmt: skip
        yield row(f"head statistics, {length} tokens: time", "the model alone, sdpa", (ours, alone),
                  ours["seconds"] / alone["seconds"], note=f"{megabytes(alone)} beyond the model")  # fmt: skip
    short, long = found["statistics", LENGTHS[0]], measured("statistics", LONGEST)
    share = LONGEST / LENGTHS[0]
    growth = long["bytes"] / short["bytes"]
    yield {
        **row(f"head statistics, memory of {LONGEST} tokens", f"of {LENGTHS[0]}", None, growth,
              note=f"{megabytes(long)} against {megabytes(short)}; the matrices grow {share**2:.0f}x"),
        "budget": f"<= {share * GROWTH:g}x", "passed": growth <= share * GROWTH,
    }  # fmt: skip
    whole = measured("sdpa", LONGEST)
    slower = whole["seconds"] / found["sdpa", LENGTHS[0]]["seconds"]
    yield row(f"head statistics, time of {LONGEST} tokens", f"of {LENGTHS[0]}", (long, short),
              long["seconds"] / short["seconds"], note=f"the model alone takes {slower:.1f}x")  # fmt: skip


def row(
    name: str,
    peer: str,
    pair: tuple[dict[str, float], dict[str, float]] | None,
    ratio: float,
    *,
    budget: float | None = None,
    note: str = "",
) -> dict:
    """One row of the table; a ratio is passed when it reaches its budget."""
    ours, other = (None, None) if pair is None else (one["seconds"] for one in pair)
    return {
        "name": name, "peer": peer, "ours_seconds": ours, "peer_seconds": other, "ratio": ratio,
        "budget": "" if budget is None else f">= {budget:g}x", "passed": None if budget is None else ratio >= budget,
        "note": note,
    }  # fmt: skip


def megabytes(one: dict[str, float]) -> str:
    """The bytes measured, in words."""
    return f"{one['bytes'] / 1e6:.0f} MB"


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
