"""OnlineTripletLoss, beside loops over all triplets as its fork has them."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused

LABELS = np.array([1, 1, 1, 2, 2, 1, 1, 3])  # the second run of 1 is a class of its own, and none's negative of it
X = np.random.default_rng(3).normal(size=(8, 4)) / 2
LAYER = 'type: "OnlineTripletLoss" triplet_loss_param {{ {} }}'.format
RUNS = [range(3), range(3, 5), range(5, 7), range(7, 8)]


def by_loops(x, margin=0.2, mu=1.0, negative="ALL", positive="ALL", all_triplets=False):
    d = np.square(x[:, None] - x).sum(-1)
    loss, chosen, total, wrong, pairs = 0, 0, 0, 0, []
    for run in RUNS:
        inside = [d[i, j] for i in run for j in run if i != j]
        pairs += inside
        for i, j in ((i, j) for i in run for j in run if i != j):
            if positive == "HARD" and d[i, j] < np.mean(inside):
                continue
            if positive == "MODERATE" and d[i, j] > 2 * np.mean(inside) - min([2.0, *inside]):
                continue
            for k in np.flatnonzero(LABELS[i] != LABELS):
                total += 1
                wrong += d[i, j] >= d[i, k]
                harder = d[i, k] <= d[i, j]
                if margin + d[i, j] < d[i, k] or (negative != "ALL" and harder != (negative == "HARD")):
                    continue
                loss += margin + d[i, j] - d[i, k]
                chosen += 1
    whole = total if all_triplets else chosen
    value = mu * loss / max(whole, 1) + (1 - mu) * np.mean(pairs)
    return value, 1 - wrong / total, chosen, total, chosen / total


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"margin": 1.0, "mu": 0.7, "all_triplets": True},
        {"margin": 1.0, "negative": "HARD", "positive": "HARD"},
        {"margin": 1.0, "negative": "MODERATE", "positive": "MODERATE", "mu": 0.5},
    ],
    ids=["as it is", "all", "hard", "moderate"],
)
def test_loss_figures_and_gradient_are_the_forks(options):
    fields = " ".join(f"{k}: {str(v).lower() if isinstance(v, bool) else v}" for k, v in options.items())
    case = Case("triplets", LAYER(fields), {"x": X, "labels": LABELS}, tops=5)
    given = case.values()[1]

    def tops(x):
        made = case.net.forward([], {**given, "x": x}, keep=True)
        return made.loss, [made.outputs[f"y{n}"] for n in range(5)]

    (loss, found), slope = case.net.compile(jax.value_and_grad(tops, has_aux=True))(given["x"])
    assert_close(np.array([float(v) for v in found]), by_loops(X, **options))
    assert_close(loss, found[0])
    direction = np.random.default_rng(4).normal(size=X.shape)
    ahead, behind = (by_loops(X + s * direction, **options)[0] for s in (1e-6, -1e-6))
    assert_close(np.vdot(slope, direction), (ahead - behind) / 2e-6)


def test_a_step_lowers_for_cuda():
    check_export(Case("step", LAYER(""), {"x": X, "labels": LABELS}))


def test_other_labels_are_refused():
    check_refused(LAYER(""), {"x": (4, 3), "labels": (4, 2)}, "must hold one label per item")
