"""Exports: transformers' own processors built from them, and interpreters of the other engines' documented orders."""

import shlex
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import GenerationConfig

import workbench as wb
from tests.samplers.rows import kept_mask, probabilities, rows
from workbench.samplers import (
    DRY,
    STEPS,
    XTC,
    DynamicTemperature,
    EntropyQuadrants,
    Epsilon,
    Eta,
    LocallyTypical,
    MinP,
    Mirostat,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)
from workbench.samplers.steps.temperature import constant

PORTABLE = st.one_of(
    st.builds(Temperature, st.floats(0.3, 2)),
    st.builds(TopK, st.integers(1, 40)),
    st.builds(TopP, st.floats(0.1, 0.99)),
    st.builds(MinP, st.floats(0.01, 0.5)),
)
OWN = st.one_of(
    PORTABLE,
    st.builds(LocallyTypical, st.floats(0.1, 0.99)),
    st.builds(Epsilon, st.floats(1e-4, 0.1)),
    st.builds(Eta, st.floats(1e-4, 0.1)),
    st.builds(lambda alpha: TopH(alpha, variant="transformers"), st.floats(0.1, 0.9)),
)


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


def of_transformers(model, values, row):
    """(V,) logits after the processors that `generate` builds from a configuration."""
    config, _ = model.hf._prepare_generation_config(GenerationConfig(**values, max_new_tokens=3))
    ids = torch.tensor([[3]])
    processors = model.hf._get_logits_processor(
        generation_config=config, input_ids_seq_length=1, encoder_input_ids=ids, device="cpu"
    )
    return processors(ids, torch.tensor(row)[None].double())[0].numpy()


@given(chain=st.lists(OWN, max_size=4, unique_by=lambda step: step.name), row=rows(smallest=5))
def test_transformers_own_processors_keep_the_same_where_nothing_is_lost(model, chain, row):
    export = wb.Sampler.chain(chain).to_transformers()
    assume(not export.lost)
    found = np.isfinite(of_transformers(model, export.values, row))
    ours = kept_mask(row, wb.Sampler.chain(chain)) if chain else np.isfinite(row)
    assert abs(int(found.sum()) - int(ours.sum())) <= near_threshold(chain, row)


def near_threshold(chain, row):
    """How many tokens more or less a hair's breadth in every threshold makes: rounding decides about these."""
    counts = []
    for factor in (1 - 1e-6, 1 + 1e-6):
        moved = [type(step)(**{**vars(step), **nudged(step, factor)}) for step in chain]
        counts.append(int(kept_mask(row, wb.Sampler.chain(moved)).sum()) if moved else 0)
    return abs(counts[0] - counts[1])


def nudged(step, factor):
    first = next(iter(vars(step)))
    value = getattr(step, first)
    return {first: value if isinstance(value, int) or step.name == "temperature" else min(value * factor, 1 - 1e-12)}


@given(chain=st.lists(OWN, max_size=5, unique_by=lambda step: step.name))
def test_a_chain_in_transformers_order_comes_back_from_its_generation_config(chain):
    ordered = sorted(chain, key=lambda step: list(wb.samplers.sampler.NEUTRAL).index(step.name))
    sampler = wb.Sampler.chain([step for step in ordered if step != Temperature(1.0)])
    export = sampler.to_transformers()
    assert export.lost == ()
    assert wb.Sampler.from_generation_config(GenerationConfig(**export.values)) == sampler


def order_of(p):
    return sorted(range(len(p)), key=lambda i: (-p[i], -i))


def apply(name, value, z):
    """One filter on float64 logits as the engines document it; dropped tokens are -inf."""
    if name == "temperature":
        return z / value
    p = probabilities(z)
    if name == "top_k":
        keep = z >= np.sort(z)[::-1][min(int(value), len(z)) - 1] if value else z > -np.inf
    if name == "min_p":
        keep = p >= value * p.max()
    if name == "top_p" and value == 1:
        return z  # off, whatever a sum of all probabilities rounds to
    if name == "top_p":
        keep, seen = np.zeros(len(z), bool), 0.0
        for i in order_of(p):
            if seen >= value:
                break
            keep[i], seen = True, seen + p[i]
    return np.where(keep, z, -np.inf)


@given(chain=st.lists(PORTABLE, max_size=4, unique_by=lambda step: step.name), row=rows(smallest=5))
def test_vllm_in_its_documented_order_keeps_the_same_where_nothing_is_lost(chain, row):
    export = wb.Sampler.chain(chain).to_vllm()
    assume(not export.lost)
    z = row.astype(np.float64)
    for name in ("temperature", "min_p", "top_k", "top_p"):
        z = apply(name, export.values[name], z)
    ours = kept_mask(row, wb.Sampler.chain(chain)) if chain else np.isfinite(row)
    assert abs(int(np.isfinite(z).sum()) - int(ours.sum())) <= near_threshold(chain, row)


@given(chain=st.lists(PORTABLE, max_size=4, unique_by=lambda step: step.name), seed=st.integers(0, 10**6))
def test_llama_cpp_in_the_order_it_is_given_keeps_the_same(chain, seed):
    # No ties: it cuts those of the k-th logit, and the export says so.
    row = (np.random.default_rng(seed).normal(size=40) * 3).astype(np.float32)
    sampler = wb.Sampler.chain(chain)
    parts = shlex.split(sampler.to_llamacpp().text)
    flags = dict(zip(parts[::2], parts[1::2], strict=True))
    named = {"temperature": "--temp", "top_k": "--top-k", "top_p": "--top-p", "min_p": "--min-p"}
    z = row.astype(np.float64)
    for name in flags["--samplers"].split(";"):
        z = apply(name, float(flags[named[name]]), z)
    ours = kept_mask(row, sampler) if chain else np.isfinite(row)
    assert abs(int(np.isfinite(z).sum()) - int(ours.sum())) <= near_threshold(chain, row)


def test_defaults_of_the_target_are_switched_off():
    raw = wb.Sampler()
    assert raw.to_transformers().values["top_k"] == 0
    assert raw.to_transformers().values["do_sample"] is True
    assert raw.to_vllm().values == {
        "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0,
    }  # fmt: skip
    flags = raw.to_llamacpp().values
    assert (flags["--temp"], flags["--top-k"], flags["--top-p"], flags["--min-p"]) == (1.0, 0, 1.0, 0.0)
    assert flags["--mirostat"] == 0
    for export in (raw.to_transformers(), raw.to_vllm(), raw.to_llamacpp()):
        assert export.lost == ()


@pytest.mark.parametrize(
    ("steps", "engine", "sentence"),
    [
        ([TopP(0.9), Temperature(0.7)], "transformers", "Temperature before Top-p"),
        ([TopP(0.9), MinP(0.1), TopP(0.5)], "transformers", "comes twice"),
        ([EntropyQuadrants()], "transformers", "no such step"),
        ([Mirostat()], "vllm", "no such step"),
        ([TopH(0.4)], "transformers", "own variant"),
        ([LocallyTypical(0.9)], "vllm", "no such step"),
        ([Temperature(0.005)], "vllm", "raises a temperature"),
        ([TopP(0.9), MinP(0.1)], "vllm", "Min-p before Top-p"),
        ([Epsilon(1e-3)], "llamacpp", "no such step"),
        ([Mirostat(), TopP(0.9)], "llamacpp", "nothing but a temperature"),
        ([Mirostat()], "llamacpp", "truncated distribution's surprise"),
        ([TopNSigma(1.0)], "llamacpp", "population standard deviation"),
        ([TopK(5)], "llamacpp", "Ties of the k-th"),
        ([Temperature(0.7), DynamicTemperature()], "llamacpp", "one temperature"),
        ([RepetitionPenalty(1.2, last_n=64)], "transformers", "not the last 64"),
        ([LocallyTypical(0.2), Temperature(0)], "transformers", "may drop the most likely"),
    ],
)
def test_what_is_lost_is_named(steps, engine, sentence):
    export = getattr(wb.Sampler.chain(steps), f"to_{engine}")()
    assert any(sentence in line for line in export.lost), export.lost


@pytest.mark.parametrize(
    ("steps", "engine"),
    [
        ([TopK(40), Temperature(0.7)], "transformers"),
        ([MinP(0.1), TopK(40)], "transformers"),
        ([Temperature(0.7), RepetitionPenalty(1.1)], "vllm"),
        ([Temperature(1.0), TopP(0.9), Temperature(1.0)], "vllm"),
        ([TopP(0.9), Temperature(0.7), MinP(0.1), XTC(0.5, 0.1)], "llamacpp"),
        ([Mirostat(feedback="truncated")], "llamacpp"),
        ([DRY(), Temperature(0.8)], "vllm"),
    ],
)
def test_nothing_is_said_to_be_lost_where_nothing_is(steps, engine):
    export = getattr(wb.Sampler.chain(steps), f"to_{engine}")()
    assert [line for line in export.lost if "DRY" not in line] == []


def test_order_windows_and_greedy_in_llama_cpp():
    flags = wb.Sampler.chain([RepetitionPenalty(1.1), TopP(0.9), Temperature(0.7), TopK(9)]).to_llamacpp().values
    assert flags["--samplers"] == "penalties;top_p;temperature;top_k"
    assert flags["--repeat-last-n"] == -1
    assert wb.Sampler(temperature=0, top_p=0.5).to_llamacpp().values["--temp"] == 0
    assert wb.Sampler(temperature=0, top_p=0.5).to_vllm().values["temperature"] == 0
    greedy = wb.Sampler(temperature=0, repetition_penalty=1.2).to_transformers()
    assert greedy.values == {"do_sample": False, "repetition_penalty": 1.2}
    assert greedy.lost == ()
    assert wb.Sampler.chain([Mirostat(version="v1")]).to_llamacpp().values["--mirostat"] == 1


def test_text_can_be_pasted():
    text = wb.Sampler(temperature=0.7, top_p=0.9).to_transformers().text
    scope = {}
    exec(text.rpartition("\n")[0] + "\nconfig = " + text.rpartition("\n")[2], scope)
    assert scope["config"].top_p == 0.9
    assert "SamplingParams(temperature=0.7" in wb.Sampler(temperature=0.7).to_vllm().text


def test_a_step_of_ones_own_is_named_everywhere():
    @dataclass(frozen=True)
    class Mine(wb.samplers.Step):
        """Mine."""

        name = "mine"
        title = "Mine"
        source = "tests"
        tempers = constant

    try:
        for engine, title in (("transformers", "transformers"), ("vllm", "vLLM"), ("llamacpp", "llama.cpp")):
            export = getattr(wb.Sampler.chain([Mine()]), f"to_{engine}")()
            assert export.lost == (f"Mine: {title} has no such step; it is left out.",)
            assert export.to_dict()["engine"] == engine
    finally:
        del STEPS["mine"]
