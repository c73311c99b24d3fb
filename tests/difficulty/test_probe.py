"""The probe learns what can be learnt and nothing from noise, the same each time, and survives a file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

import workbench as wb
from tests.models.architectures import CONFIGS, make_model
from workbench.difficulty.features import prompt_states
from workbench.difficulty.labels import LABELS
from workbench.difficulty.probe import Probe
from workbench.difficulty.training import held_out_mask, train_probe
from workbench.errors import DifficultyError, PromptError

PROMPTS = [
    "Start with 12. Add 9. Multiply by 3. What is the result?",
    "There are 17 beads. Nine are lost. How many are left?",
    "Think of 4. Double it.",
    "What is 3 plus 4?",
    "Start with 50. Take away 8. Take away 12. Add 7. Double it. Take away 11. What is the result?",
]


def clouds(count=240, seed=0, apart=6.0):
    """Five clouds along one of eight directions; two labels lie on both sides of the third: no line parts them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 8))
    side = np.where(rng.random(count) < 0.5, 1, -1)
    x[:, 0] += apart * np.where(y == 0, 0, side * y)  # labels 1 and 2 lie on both sides of 0
    return x.astype(np.float32), np.array(LABELS)[y]


@pytest.fixture(scope="module")
def separable():
    return clouds()


@pytest.fixture(scope="module")
def demo():
    return wb.load("demo-small")


def test_a_separable_problem_is_learnt(separable):
    probe = train_probe(*separable, hidden=32, lr=1e-2, seed=3)
    found = probe.evaluation
    assert found.accuracy > 0.85 > found.baseline
    assert found.p_value < 1e-6
    assert "better than always saying" in found.verdict
    assert "not shown" not in found.verdict
    assert found.confusion.sum() == found.n_test == 72
    assert found.losses[-1] < found.losses[0] / 2
    assert found.losses_frame()["epoch"].to_list() == list(range(1, 101))
    assert found.to_frame().shape == (3, 4)


def test_a_linear_probe_cannot_learn_what_no_line_parts(separable):
    linear, deep = (train_probe(*separable, hidden=hidden, seed=3) for hidden in (0, 32))
    assert set(linear.weights) == {"W2", "b2"}
    assert linear.evaluation.accuracy < deep.evaluation.accuracy - 0.15
    assert "linear" in repr(linear)


def test_a_linear_probe_learns_what_a_line_parts():
    x = np.random.default_rng(0).normal(size=(200, 4))
    y = np.array(LABELS)[np.digitize(x @ [3.0, -1.0, 0.5, 2.0], [-1.5, 1.5])]
    assert train_probe(x, y, hidden=0, lr=1e-2).evaluation.accuracy > 0.85


def test_noise_is_at_the_baseline():
    rng = np.random.default_rng(4)
    y = np.array(LABELS)[rng.choice(3, 400, p=[0.2, 0.5, 0.3])]
    found = train_probe(rng.normal(size=(400, 6)), y, hidden=16, epochs=20).evaluation
    assert found.majority == "normal"
    assert found.interval[0] < found.baseline
    assert found.p_value > 0.05
    assert "not shown to be better" in found.verdict


def test_counts_of_the_evaluation_are_those_of_the_labels(separable):
    x, y = separable
    probe = train_probe(x, y, hidden=8, epochs=5)
    out = probe.evaluation.held_out
    truth, said = y[out], probe.choose(x[out]).label
    assert probe.evaluation.accuracy == np.mean(truth == said)
    assert probe.evaluation.baseline == np.mean(truth == probe.evaluation.majority)
    for i, true in enumerate(LABELS):
        for j, found in enumerate(LABELS):
            assert probe.evaluation.confusion[i, j] == np.sum((truth == true) & (said == found))
    by_majority = truth == probe.evaluation.majority
    assert probe.evaluation.only_probe - probe.evaluation.only_majority == np.sum(said == truth) - by_majority.sum()


def test_outputs_equal_a_plain_formula(separable):
    x, y = separable
    probe = train_probe(x, y, hidden=8, epochs=3)
    w = {name: weight.double().numpy() for name, weight in probe.weights.items()}
    h = (x.astype(float) - probe.mean.double().numpy()) / probe.scale.double().numpy()
    z = np.maximum(h @ w["W1"].T + w["b1"], 0) @ w["W2"].T + w["b2"]
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probe.choose(x).probability, expected, atol=1e-5)


def test_the_same_seed_gives_the_same_bits_whatever_torch_was_doing(separable):
    first = train_probe(*separable, hidden=16, epochs=5, seed=7)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    with torch.inference_mode():
        second = train_probe(*separable, hidden=16, epochs=5, seed=7)
    assert torch.equal(before, torch.random.get_rng_state())  # and leaves torch's own draws alone
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
    assert np.array_equal(first.evaluation.losses, second.evaluation.losses)
    other = train_probe(*separable, hidden=16, epochs=5, seed=8)
    assert not np.array_equal(first.evaluation.held_out, other.evaluation.held_out)


def test_held_out_examples_do_not_touch_the_training(separable):
    x, y = separable
    probe = train_probe(x, y, hidden=8, epochs=5)
    out = probe.evaluation.held_out
    changed, renamed = x.copy(), y.copy()
    changed[out] = 1e3
    renamed[out] = "hard"
    again = train_probe(changed, renamed, hidden=8, epochs=5)
    assert all(torch.equal(probe.weights[name], again.weights[name]) for name in probe.weights)
    assert torch.equal(probe.mean, again.mean)


def test_standardising_makes_the_scale_of_an_input_not_matter(separable):
    x, y = separable
    stretched = x * np.array([1e4, 1, 1, 1, 1, 1, 1e-3, 1]) + 50
    plain, wide = (train_probe(h, y, hidden=16, epochs=30).evaluation for h in (x, stretched))
    np.testing.assert_allclose(plain.losses, wide.losses, rtol=0.02)
    raw = train_probe(stretched, y, hidden=16, epochs=30, standardise=False)
    assert raw.evaluation.losses[-1] > wide.losses[-1] + 0.1
    assert float(raw.mean.abs().max()) == 0


def test_an_input_that_never_changes_is_harmless(separable):
    x, y = separable
    probe = train_probe(np.column_stack([x, np.full(len(x), 7.0)]), y, hidden=8, epochs=3)
    assert np.isfinite(probe.evaluation.losses).all()


def test_balanced_classes_find_the_rare_one():
    rng = np.random.default_rng(1)
    y = np.where(rng.random(600) < 0.06, "hard", "normal")
    x = rng.normal(size=(600, 3)) + 1.0 * (y == "hard")[:, None]
    plain, balanced = (train_probe(x, y, hidden=0, balanced=on, lr=1e-2).evaluation for on in (False, True))
    hard = LABELS.index("hard")
    assert balanced.confusion[hard, hard] > plain.confusion[hard, hard]


def test_a_label_without_examples_is_never_given(separable):
    x, y = separable
    two = y != "easy"
    probe = train_probe(x[two], y[two], hidden=8, epochs=5)
    assert probe.missing == ("easy",)
    found = probe.choose(x)
    assert "easy" not in found.label
    assert (found.probability[:, LABELS.index("easy")] == 0).all()
    np.testing.assert_allclose(found.probability.sum(axis=1), 1)


def test_a_label_only_among_the_held_out_counts_as_wrong(separable):
    x, y = separable
    probe = train_probe(x, y, hidden=8, epochs=5, holdout=y == "hard")
    assert probe.evaluation.accuracy == 0
    assert np.isnan(probe.evaluation.held_out_losses).all()


def test_below_the_floor_a_prompt_is_normal(separable):
    x, y = separable
    probe = train_probe(x, y, hidden=16, lr=1e-2, epochs=30, floor=0.9)
    found, free = probe.choose(x), probe.choose(x, floor=0)
    unsure = free.confidence < 0.9
    assert 0 < unsure.sum() < len(x)
    assert np.array_equal(found.fell_back, unsure)
    assert set(found.label[unsure]) == {"normal"}
    assert np.array_equal(found.label[~unsure], free.label[~unsure])
    assert found.to_frame().columns == ["label", "confidence", "fell_back", "p_easy", "p_normal", "p_hard"]


def test_a_group_is_never_on_both_sides(separable):
    x, y = separable
    groups = [f"p{i // 4}" for i in range(len(y))]
    out = train_probe(x, y, hidden=4, epochs=1, groups=groups).evaluation.held_out
    assert out.sum() == round(0.3 * 60) * 4
    assert all(len(set(out[i : i + 4])) == 1 for i in range(0, len(y), 4))


@pytest.mark.parametrize("hidden", [0, 8])
def test_saved_and_loaded_it_says_the_same(separable, tmp_path, hidden):
    x, y = separable
    probe = train_probe(x, y, hidden=hidden, epochs=3, floor=0.4)
    again = Probe.load(probe.save(tmp_path / "probe.safetensors"))
    assert np.array_equal(probe.choose(x).probability, again.choose(x).probability)
    assert (again.classes, again.floor, again.settings) == (probe.classes, probe.floor, probe.settings)
    assert again.evaluation.to_dict() == probe.evaluation.to_dict()
    assert repr(again) == repr(probe)


def test_files_that_are_no_probe(separable, tmp_path):
    path = tmp_path / "probe.safetensors"
    with pytest.raises(DifficultyError, match="no probe this version can read"):
        Probe.load(path)
    path.write_bytes(b"\x80\x04nonsense")
    with pytest.raises(DifficultyError, match="no probe this version can read"):
        Probe.load(path)
    save_file({"mean": torch.zeros(2)}, path)
    with pytest.raises(DifficultyError, match="no probe this version can read"):
        Probe.load(path)
    save_file({"mean": torch.zeros(2)}, path, metadata={"workbench.probe": '{"format": "99"}'})
    with pytest.raises(DifficultyError, match="format 99"):
        Probe.load(path)
    probe = train_probe(*separable, hidden=0, epochs=1)
    whole = probe.save(path).read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(DifficultyError, match="no probe this version can read"):
        Probe.load(path)
    replace(probe, mean=torch.zeros(3)).save(path)
    with pytest.raises(DifficultyError, match="do not belong together"):
        Probe.load(path)
    with pytest.raises(DifficultyError, match="does not exist"):
        probe.save(tmp_path / "nowhere" / "probe.safetensors")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": ["normal"] * 240}, "All 168 training problems are normal"),
        ({"labels": ["normal"] * 239}, "one label a state"),
        ({"labels": ["medium"] * 240}, "these are not: medium"),
        ({"states": np.zeros(240)}, r"\(N, d\)"),
        ({"states": np.full((240, 2), np.nan)}, "not finite, first in row 0"),
        ({"holdout": 1.0}, "leaves none to train on"),
        ({"holdout": -0.1}, "between 0 and 1"),
        ({"holdout": np.zeros(240, bool)}, "some of them True"),
        ({"groups": ["a"] * 3}, "one group an example"),
        ({"groups": ["a"] * 240}, "leaves none"),
        ({"epochs": 0}, "epochs"),
        ({"lr": 0.0}, "lr"),
        ({"floor": 2.0}, "floor is between"),
    ],
)
def test_what_cannot_be_trained(separable, change, says):
    given = {"states": separable[0], "labels": separable[1], "hidden": 2, "epochs": 1} | change
    with pytest.raises(DifficultyError, match=says):
        train_probe(given.pop("states"), given.pop("labels"), **given)


def test_states_of_another_model_are_refused(separable):
    probe = train_probe(*separable, hidden=0, epochs=1)
    with pytest.raises(DifficultyError, match="width 8, these have 5"):
        probe.choose(np.zeros((2, 5)))
    assert len(probe.choose(np.zeros((0, 8))).label) == 0


def test_the_split_depends_on_seed_and_groups_alone():
    groups = [f"p{i}" for i in range(50)]
    mask = held_out_mask(groups, 0.3, 5)
    assert mask.sum() == 15
    assert np.array_equal(mask, held_out_mask(groups, 0.3, 5))
    assert np.array_equal(np.repeat(mask, 2), held_out_mask(np.repeat(groups, 2).tolist(), 0.3, 5))


def test_a_batch_of_prompts_has_the_states_of_each_alone(demo):
    together = prompt_states(demo, PROMPTS, batch_size=3)
    assert together.dtype == np.float32
    assert together.shape == (5, demo.hf.config.hidden_size)
    for prompt, row in zip(PROMPTS, together, strict=True):
        np.testing.assert_allclose(prompt_states(demo, [prompt])[0], row, atol=1e-5)


@pytest.mark.parametrize("kind", CONFIGS)
def test_padding_does_not_reach_the_states_of_any_architecture(kind):
    model = wb.wrap(make_model(kind))
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, 320, length).tolist() for length in (3, 21, 9, 1)]
    together = prompt_states(model, prompts)
    for prompt, row in zip(prompts, together, strict=True):
        np.testing.assert_allclose(prompt_states(model, [prompt])[0], row, atol=1e-5 * np.abs(row).max())


def test_a_recurrent_models_states_are_those_of_each_prompt_alone():
    torch.manual_seed(0)
    size = {"vocab_size": 64, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 2, "initializer_range": 0.3}
    model = wb.wrap(transformers.MambaForCausalLM(transformers.MambaConfig(**size)).eval())
    prompts = [[5, 6, 7, 8, 9, 10, 11], [5, 6], [9, 3], [4]]
    together = prompt_states(model, prompts, batch_size=4)
    for prompt, row in zip(prompts, together, strict=True):
        np.testing.assert_allclose(prompt_states(model, [prompt])[0], row, atol=1e-5)


def test_states_are_what_the_first_tokens_logits_are_read_from(demo):
    _, ids = demo.encode_prompt(PROMPTS[0])
    with torch.inference_mode():
        out = demo.hf(input_ids=torch.tensor([ids]), output_hidden_states=True)
    (state,) = prompt_states(demo, [ids])
    np.testing.assert_allclose(state, out.hidden_states[-1][0, -1], atol=1e-5)
    with torch.inference_mode():
        logits = demo.hf.get_output_embeddings()(torch.from_numpy(state))
    np.testing.assert_allclose(logits, out.logits[0, -1], atol=1e-4)


def test_prompts_that_have_no_state(demo):
    with pytest.raises(DifficultyError, match="at least one"):
        prompt_states(demo, [])
    with pytest.raises(DifficultyError, match="list of prompts"):
        prompt_states(demo, "What is 3 plus 4?")
    with pytest.raises(DifficultyError, match="batch_size"):
        prompt_states(demo, PROMPTS, batch_size=0)
    with pytest.raises(PromptError, match="empty"):
        prompt_states(demo, [""])
