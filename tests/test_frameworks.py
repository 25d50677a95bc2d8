"""Laws of the GPT in other frameworks: equal to torch in logits, gradients and one step."""

import numpy as np
import pytest
import torch

from llmcourse import frameworks
from llmcourse.gpt import GPT, GPTConfig

SMALL = dict(vocab_size=50, context=16, width=16, heads=2, layers=2)
FORMS = {
    "gpt2": GPTConfig.gpt2_form(**SMALL),
    "modern": GPTConfig.modern(**SMALL, zero_outputs=False),
    "llama": GPTConfig(**SMALL),
}
LR = 0.1
forms = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def case(form):
    model = GPT(FORMS[form], seed=1)
    with torch.no_grad():  # biases and gains start at 0 and 1, which would hide a mistake
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    rows = torch.randint(50, (3, 12), generator=torch.Generator().manual_seed(2))
    ids, targets = rows[:, :-1], rows[:, 1:]
    logits, loss = model(ids, targets)
    loss.backward()
    grads = {n: p.grad.numpy() for n, p in model.named_parameters()}
    return model, ids, targets, logits.detach().numpy(), loss.item(), grads


@forms
def test_jax_is_torch(case):
    jax = pytest.importorskip("jax")
    from llmcourse.frameworks import jax as ours

    model, ids, targets, logits, loss, grads = case
    w, c = ours.weights(model), model.config
    x, y = jax.numpy.asarray(ids.numpy()), jax.numpy.asarray(targets.numpy())
    np.testing.assert_allclose(ours.forward(w, x, c), logits, atol=2e-5)
    value, found = jax.value_and_grad(ours.loss)(w, x, y, c)
    assert float(value) == pytest.approx(loss, abs=1e-5)
    after_loss, after = ours.step()(w, x, y, c, LR)
    assert float(after_loss) == pytest.approx(loss, abs=1e-5)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(found[name], grads[name], atol=2e-5)
        np.testing.assert_allclose(after[name], p.detach().numpy() - LR * grads[name], atol=1e-5)
        np.testing.assert_array_equal(w[name], p.detach().numpy())  # a pure function leaves w alone


@forms
@pytest.mark.parametrize("mode", ["eager", "graph", "any length"])
def test_tensorflow_is_torch(case, mode):
    pytest.importorskip("tensorflow")
    from llmcourse.frameworks import tensorflow as ours

    model, ids, targets, logits, loss, grads = case
    w, c = ours.weights(model), model.config
    x, y = ids.numpy().astype("int32"), targets.numpy().astype("int32")
    np.testing.assert_allclose(ours.forward(w, x, c), logits, atol=2e-5)
    step = ours.make_step(w, c, LR, graph=mode != "eager", any_length=mode == "any length")
    assert float(step(x, y)) == pytest.approx(loss, abs=1e-5)
    for name, p in model.named_parameters():  # changed in place
        np.testing.assert_allclose(w[name], p.detach().numpy() - LR * grads[name], atol=1e-5)


@pytest.mark.parametrize("name", ["jax", "tensorflow"])
def test_a_text_too_long_is_refused(name):
    pytest.importorskip(name)
    ours = __import__(f"llmcourse.frameworks.{name}", fromlist=["forward"])
    model = GPT(FORMS["gpt2"])
    with pytest.raises(ValueError, match="17 tokens is longer than the context of 16"):
        ours.forward(ours.weights(model), np.zeros((1, 17), "int32"), model.config)


def test_weights_are_copies_by_name():
    model = GPT(FORMS["gpt2"])
    w = frameworks.weights(model)
    assert set(w) == {n for n, _ in model.named_parameters()}
    w["embed.weight"][:] = 7
    assert float(model.embed.weight.detach().max()) < 7


@pytest.mark.parametrize(
    "change", [dict(mlp="relu2"), dict(kv_heads=1), dict(window=4), dict(tied=False)]
)
def test_forms_that_the_ports_lack_are_named(change):
    (field,) = change
    with pytest.raises(ValueError, match=f"{field} must be"):
        frameworks.weights(GPT(GPTConfig(**SMALL, **change)))


def test_what_is_missing_is_said(monkeypatch):
    assert frameworks.missing("torch") is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert frameworks.missing("jax") == 'JAX is not installed here: pip install -e ".[frameworks]"'
    with pytest.raises(ValueError, match="got 'mxnet'"):
        frameworks.missing("mxnet")
