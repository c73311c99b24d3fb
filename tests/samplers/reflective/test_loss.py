"""The closed-form gradient against automatic differentiation, and what follows from it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.models.readout import Readout
from workbench.samplers.reflective import Reflective, loss
from workbench.samplers.reflective.head import LinearHead
from workbench.samplers.reflective.loss import Objective, past_sums
from workbench.samplers.reflective.optimizers import AdamW, Gradient

READOUTS = [Readout("plain", 1.0, 0.0), Readout("scale", 0.25, 0.0), Readout("softcap", 3.0, 0.0)]


def problem(seed, readout=READOUTS[0], *, length=9, width=6, vocabulary=17, bias=True):
    """A random head, states (L, D) and tokens (L - 1,) in float64."""
    torch.manual_seed(seed)
    weight = torch.randn(vocabulary, width, dtype=torch.float64)
    head = LinearHead(weight, torch.randn(vocabulary, dtype=torch.float64) if bias else None, readout)
    states = torch.randn(length, width, dtype=torch.float64)
    return head, states, torch.randint(vocabulary, (length - 1,))


def automatic(head, states, targets, delta, *, settings, temperature):
    """Loss, cross-entropy, entropy and gradient by torch.autograd."""
    delta = delta.clone().requires_grad_()
    scores = torch.nn.functional.linear(states + delta, head.weight, head.bias)
    value, kind = head.readout.value, head.readout.kind
    logits = {"plain": scores, "scale": value * scores, "softcap": value * torch.tanh(scores / value)}[kind]
    entropy = torch.distributions.Categorical(logits=logits[-1] / temperature).entropy()
    ce = torch.zeros_like(entropy)
    if len(targets):
        ce = torch.nn.functional.cross_entropy(logits[:-1], targets, reduction=settings.cross_entropy)
    whole = (1 - settings.weight) * ce + settings.weight * entropy
    whole.backward()
    return whole.item(), ce.item(), entropy.item(), delta.grad


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.kind)
@pytest.mark.parametrize("how", ["sum", "mean"])
@given(
    seed=st.integers(0, 10**6),
    weight=st.sampled_from([0.0, 0.05, 0.6, 1.0]),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    length=st.integers(1, 12),
    bias=st.booleans(),
    at_zero=st.booleans(),
)
def test_loss_and_gradient_are_those_of_autograd(*, readout, how, seed, weight, temperature, length, bias, at_zero):
    head, states, targets = problem(seed, readout, length=length, bias=bias)
    settings = Reflective(cross_entropy=how, weight=weight)
    known = past_sums(head, states[:-1], targets) if at_zero else None
    objective = Objective(head, states, targets, settings, temperature=temperature, at_zero=known)
    for delta in (torch.zeros(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)):
        found = objective(delta)
        whole, ce, entropy, gradient = automatic(
            head, states, targets, delta, settings=settings, temperature=temperature
        )
        assert found.loss == pytest.approx(whole, abs=1e-10)
        assert found.cross_entropy == pytest.approx(ce, abs=1e-10)
        assert found.entropy == pytest.approx(entropy, abs=1e-10)
        torch.testing.assert_close(found.gradient, gradient, rtol=1e-10, atol=1e-10)


def test_the_gradient_is_that_of_finite_differences_in_float64():
    head, states, targets = problem(3, READOUTS[2])
    objective = Objective(head, states, targets, Reflective(weight=0.5), temperature=0.7)
    delta, h = torch.randn(6, dtype=torch.float64), 1e-5
    for i, found in enumerate(objective(delta).gradient):
        step = torch.zeros(6, dtype=torch.float64)
        step[i] = h
        assert float(found) == pytest.approx((objective(delta + step).loss - objective(delta - step).loss) / (2 * h))


def test_chunks_change_nothing(monkeypatch):
    head, states, targets = problem(1, length=40)
    whole = past_sums(head, states[:-1], targets)
    monkeypatch.setattr(loss, "_CHUNK_BYTES", 4 * 8 * 17 * 3)  # three rows
    cut = past_sums(head, states[:-1], targets)
    torch.testing.assert_close(cut.residual, whole.residual, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cut.loss, whole.loss)
    first, rest = past_sums(head, states[:7], targets[:7]), past_sums(head, states[7:-1], targets[7:])
    torch.testing.assert_close((first + rest).residual, whole.residual, rtol=1e-12, atol=1e-12)
    assert (first + rest).count == 39


@given(seed=st.integers(0, 10**6), weight=st.floats(0, 1), how=st.sampled_from(["sum", "mean"]))
def test_a_small_gradient_step_lowers_the_loss(seed, weight, how):
    head, states, targets = problem(seed)
    objective = Objective(head, states, targets, Reflective(cross_entropy=how, weight=weight), temperature=0.8)
    delta = torch.zeros(6, dtype=torch.float64)
    before = objective(delta)
    after = objective(Gradient(1e-5).step(delta, before.gradient))
    assert after.loss < before.loss


@given(seed=st.integers(0, 10**6))
def test_with_lambda_one_the_next_token_becomes_more_certain(seed):
    head, states, targets = problem(seed)
    objective = Objective(head, states, targets, Reflective(weight=1.0))
    delta = torch.zeros(6, dtype=torch.float64)
    before = objective(delta)
    for _ in range(5):
        delta = Gradient(1e-3).step(delta, objective(delta).gradient)
    assert objective(delta).entropy < before.entropy


def test_uniform_logits_have_no_entropy_gradient():
    head = LinearHead(torch.zeros(5, 3, dtype=torch.float64))
    states = torch.randn(1, 3, dtype=torch.float64)
    found = Objective(head, states, torch.empty(0, dtype=torch.long), Reflective(weight=1.0))(states[0])
    assert found.entropy == pytest.approx(float(torch.log(torch.tensor(5.0, dtype=torch.float64))))
    assert not found.gradient.any()


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.kind)
def test_a_delta_of_zero_gives_back_the_very_logits(readout):
    head, states, targets = problem(2, readout)
    raw = torch.randn(17)
    objective = Objective(head, states, targets, Reflective())
    assert torch.equal(objective.corrected(raw, torch.zeros(6, dtype=torch.float64)), raw)


def test_work_is_counted_in_states_through_the_head():
    head, states, targets = problem(0, length=10)
    objective = Objective(head, states, targets, Reflective(), at_zero=past_sums(head, states[:-1], targets))
    objective(torch.zeros(6, dtype=torch.float64))
    assert objective.head_rows == 2  # the last state, and the gradient
    objective(torch.ones(6, dtype=torch.float64))
    assert objective.head_rows == 2 + 9 + 2


def test_adamw_is_that_of_torch_with_the_settings_of_the_reference():
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.zeros(8, dtype=torch.float64))
    theirs = torch.optim.AdamW([parameter], lr=0.01, weight_decay=1e-8, eps=1e-5)
    ours, delta = AdamW(0.01), torch.zeros(8, dtype=torch.float64)
    for _ in range(6):
        gradient = torch.randn(8, dtype=torch.float64) * 10.0 ** torch.randint(-4, 4, (8,))
        parameter.grad = gradient.clone()
        theirs.step()
        delta = ours.step(delta, gradient)
        torch.testing.assert_close(delta, parameter.detach(), rtol=1e-12, atol=1e-14)
