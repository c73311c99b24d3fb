"""`workbench record`: decode a prompt, see it come, and keep every token's distribution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli_sampler import sampler_from_options
from workbench.cli_stream import Stream, interruptible
from workbench.cli_text import neutral
from workbench.errors import ParameterError, TraceError

if TYPE_CHECKING:
    from workbench.traces import Trace

_SUFFIX = ".parquet"
_ENDED = {"end": "ended by itself", "length": "cut at the limit of tokens", "stopped": "stopped"}


def record(  # noqa: PLR0917  -- typer makes options of them
    prompt: Annotated[str, typer.Argument(help="One user turn; - reads it from the standard input.")],
    model: Annotated[str, typer.Option(help="A bundled model, a folder, or a hub id.")] = "demo",
    sampler: Annotated[
        str | None, typer.Option(help="As temperature=0.7,top_p=0.9 or JSON; the model's own settings by default.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Divides the logits; 0 is greedy.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Keep the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Keep the smallest set whose probabilities reach p.")] = None,
    min_p: Annotated[float | None, typer.Option(help="Keep what has this share of the likeliest's mass.")] = None,
    typical_p: Annotated[float | None, typer.Option(help="Locally typical sampling's mass.")] = None,
    top_h: Annotated[float | None, typer.Option(help="Keep what this share of the entropy allows.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="Above 1 lowers tokens seen before.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Where a sequence ends at the latest.")] = None,
    seed: Annotated[int, typer.Option(help="Sequence i is drawn with seed + i.")] = 0,
    n: Annotated[int, typer.Option("--n", "-n", help="How many sequences.")] = 1,
    out: Annotated[
        Path, typer.Option(help="A folder, where files are numbered rather than overwritten, or FILE.parquet.")
    ] = Path("traces"),
    chat: Annotated[
        bool | None, typer.Option("--chat/--verbatim", help="Insist on the chat template, or take the prompt verbatim.")
    ] = None,
    top: Annotated[int, typer.Option(help="Logits of each token kept exactly, for replays.")] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto is what the model was saved in.")] = "auto",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit, for hub ids.")] = None,
    quantization: Annotated[str | None, typer.Option(help="4bit or 8bit.")] = None,
) -> None:
    """Decode a prompt and keep every token's distribution, for panels and replays.

    The text goes to the standard output, all else to the standard error.

    Ctrl-C ends the decode and saves what there is; a second one gives it up.
    """
    named = {
        "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "typical_p": typical_p,
        "top_h": top_h, "repetition_penalty": repetition_penalty,
    }  # fmt: skip
    drawn_with = sampler_from_options(sampler, named)
    words = sys.stdin.read() if prompt == "-" else prompt
    _prepare(out, n)
    typer.echo(f"loading {neutral(model)} …", err=True)
    from workbench.models import load  # noqa: PLC0415  -- --help should not wait for torch
    from workbench.traces import record as decode  # noqa: PLC0415

    loaded = load(model, device=device, dtype=dtype, revision=revision, quantization=quantization)
    with interruptible() as stop, Stream(n) as stream:
        made = decode(
            loaded, words, sampler=drawn_with, max_new_tokens=max_new_tokens, seed=seed, n=n, chat=chat, top=top,
            on_token=stream.put, stop=stop,
        )  # fmt: skip
    _keep([made] if n == 1 else made, out, stream)
    if stop.is_set():
        raise typer.Exit(130)


def _keep(traces: list[Trace], out: Path, stream: Stream) -> None:
    """Print the sequences that were not streamed, save all, and say how it went and where they are."""
    traces = [trace for trace in traces if len(trace)]
    if not traces:
        typer.echo("Stopped before the first token: there is nothing to save.", err=True)
        return
    for number, trace in enumerate(traces[1:], start=2):
        typer.echo(f"\n--- {number} of {len(traces)}, seed {trace.meta['seed']}\n{neutral(trace.text)}")
    paths = [trace.save(_target(out, trace)) for trace in traces]
    typer.echo(_summary(traces, stream.seconds), err=True)
    where = paths[0] if len(paths) == 1 else out
    opens = "wb.Trace.load" if len(paths) == 1 else "wb.open_traces"
    shows = "" if len(paths) > 1 else f" widgets.TracePanel(wb.Trace.load({str(where)!r})) shows it."
    typer.echo(f"saved {neutral(', '.join(map(str, paths)))}", err=True)
    typer.echo(neutral(f"{opens}({str(where)!r}) opens {'it' if len(paths) == 1 else 'the folder'}.{shows}"), err=True)


def _summary(traces: list[Trace], seconds: float) -> str:
    """Tokens, how they ended, mean raw entropy, sampler and rate in a line."""
    tokens = sum(len(trace) for trace in traces)
    entropy = sum(float(trace.tokens["entropy"].sum()) for trace in traces) / tokens
    finishes = sorted({str(trace.meta["finish"]) for trace in traces})
    ended = " or ".join(_ENDED.get(finish, finish) for finish in finishes)
    many = "" if len(traces) == 1 else f" in {len(traces)} sequences"
    rate = f", {tokens / seconds:,.0f} tokens a second" if seconds > 0 else ""
    return f"{tokens:,} tokens{many}, {ended}, mean raw entropy {entropy:.3f} nats{rate}"


def _prepare(out: Path, n: int) -> None:
    """Find out before the decode whether there is a place for what it leaves.

    Raises:
        TraceError: a file that is there already, or a folder that cannot be made.
        ParameterError: one file for several sequences.
    """
    single = out.suffix == _SUFFIX
    if single and n > 1:
        raise ParameterError(f"--out {out} is one file, and there are {n} sequences: give a folder.")
    if single and out.exists():
        raise TraceError(f"{out} is there already. Give another name, or a folder, where nothing is overwritten.")
    folder = out.expanduser().parent if single else out.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise TraceError(
            f"{folder} is no folder and cannot be made one ({problem.strerror}). Give another."
        ) from problem


def _target(out: Path, trace: Trace) -> Path:
    """The file itself, or in a folder MODEL-seedN.parquet, numbered where that is taken."""
    out = out.expanduser()
    if out.suffix == _SUFFIX:
        return out
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(str(trace.meta["model"])).name).lstrip(".")
    path = first = out / f"{plain or 'model'}-seed{trace.meta['seed']}{_SUFFIX}"
    number = 1
    while path.exists():
        number += 1
        path = first.with_stem(f"{first.stem}-{number}")
    return path
