"""MMDLoss and JMMDLoss: against loops over the pairs that they draw."""

import jax
import numpy as np
import pytest
from support.layer_cases import Case, assert_close, check_export, check_refused, net_of

from engine.layers.discrepancy_loss import pairs

MMD = 'type: "MMDLoss" mmd_param {{ {} }}'.format
JMMD = 'type: "JMMDLoss" jmmd_param {{ {} }}'.format
DOMAINS = {"s": (4, 3), "t": (3, 3, 1)}
JOINT = {"s": (4, 3), "t": (3, 3), "ps": (4, 2), "pt": (3, 2)}


def drawn(case, source=4, target=3):
    """The samples of a run of the case, as the signed pairs of (domain, row)."""
    key = jax.random.fold_in(jax.random.key(1), case.net.layer_names.index("layer"))
    for s1, s2, t1, t2 in zip(*map(np.asarray, pairs(key, source, target)), strict=True):
        yield 1, (0, s1), (0, s2)
        yield 1, (1, t1), (1, t2)
        yield -1, (0, s1), (1, t2)
        yield -1, (0, s2), (1, t1)


def inverse_mean_distance(*domains):
    both = np.concatenate([x.reshape(len(x), -1) for x in domains])
    distances = [((a - b) ** 2).sum() for i, a in enumerate(both) for j, b in enumerate(both) if i != j]
    return 1 / np.mean(distances)


def total(case, bottoms, number=5, factor=2.0, gamma=None):
    """The loss, and its gradients by both domains divided by the number of samples."""
    domains = [np.float64(bottoms[name]).reshape(len(bottoms[name]), -1) for name in "st"]
    gamma = gamma or inverse_mean_distance(*domains)
    value, slopes = 0.0, [np.zeros_like(x) for x in domains]
    for sign, (i, a), (j, b) in drawn(case):
        d = domains[i][a] - domains[j][b]
        for k in range(number):
            own = gamma * factor ** (k - number // 2)
            e = np.exp(-own * d @ d)
            value += sign * e
            slopes[i][a] -= sign * 2 * own * e * d / 4
            slopes[j][b] += sign * 2 * own * e * d / 4
    return value, slopes


def gradients(case, bottoms, params=()):
    def loss(some):
        return case.run(params, some)[0].sum()

    return case.net.compile(jax.grad(loss))(bottoms)


@pytest.mark.parametrize("options", ["", "kernel_num: 2 kernel_mul: 3"])
def test_mmd_and_its_gradient_are_those_of_its_pairs(options):
    case = Case("mmd", MMD(options), DOMAINS)
    _, bottoms = case.values()
    value, (ds, dt) = total(case, bottoms, *((2, 3.0) if options else ()))
    assert_close(case.run([], bottoms)[0], value)
    found = gradients(case, bottoms)
    assert_close(found["s"], ds)
    assert_close(found["t"], dt[..., None])


def test_fixed_gamma_is_that_of_the_first_pass():
    case = Case("fixed", MMD("fix_gamma: true"), DOMAINS)
    _, bottoms = case.values()
    first = case.net.forward([np.float32(0)], bottoms, jax.random.key(1), keep=True)
    (kept,) = first.updates.values()
    assert kept == pytest.approx(inverse_mean_distance(bottoms["s"], bottoms["t"]), rel=1e-4)
    assert_close(
        case.run([kept], {"s": 2 * bottoms["s"], "t": bottoms["t"]})[0],
        total(case, {"s": 2 * bottoms["s"], "t": bottoms["t"]}, gamma=float(kept))[0],
    )


def test_a_domain_of_one_item_gives_no_gradient():
    case = Case("one", MMD(""), {"s": (4, 3), "t": (1, 3)})
    assert not any(map(np.any, gradients(case, case.values()[1]).values()))


def test_two_items_of_a_domain_differ():
    s1, s2, t1, t2 = pairs(jax.random.key(0), 5, 200)
    assert len(s1) == 200
    assert not np.any(s1 == s2)
    assert not np.any(t1 == t2)
    assert set(np.asarray(s1)) == set(np.asarray(s2)) == set(range(5))


def joint_slopes(case, bottoms, sigma, label_kernels=1, label_factor=2.0):
    domains = [np.float64(bottoms[name]) for name in ("s", "t")]
    labels = [np.float64(bottoms[name]) for name in ("ps", "pt")]
    gamma, slopes = inverse_mean_distance(*domains), [np.zeros_like(x) for x in (*domains, *labels)]
    for sign, (i, a), (j, b) in drawn(case):
        d, p = domains[i][a] - domains[j][b], labels[i][a] - labels[j][b]
        sigmas = [sigma * label_factor ** (k - label_kernels // 2) for k in range(label_kernels)]
        alike = sum(np.exp(-p @ p / s) for s in sigmas)
        own = [gamma * 2.0 ** (k - 2) for k in range(5)]
        by_d = sum(-2 * g * np.exp(-g * d @ d) for g in own) * alike * d
        by_p = sum(np.exp(-g * d @ d) for g in own) * -2 / sigma * alike * p
        for number, row, slope in ((i, a, by_d), (j, b, -by_d), (2 + i, a, by_p), (2 + j, b, -by_p)):
            slopes[number][row] += sign * slope / 4
    return slopes


@pytest.mark.parametrize(("options", "kernels"), [("label_kernel_num: 1", (1,)), ("label_kernel_mul: 3", (5, 3.0))])
def test_joint_gradient_is_that_of_its_pairs_and_the_value_is_zero(options, kernels):
    case = Case("jmmd", JMMD(f"sigma: 1.68 {options}"), JOINT)
    _, bottoms = case.values()
    assert case.run([], bottoms)[0] == 0
    found = gradients(case, bottoms)
    for name, want in zip(JOINT, joint_slopes(case, bottoms, 1.68, *kernels), strict=True):
        assert_close(found[name], want, name)


def test_sigma_follows_from_the_predictions():
    case = Case("auto", JMMD("auto_sigma: true label_kernel_num: 1"), JOINT)
    _, bottoms = case.values()
    key = jax.random.fold_in(jax.random.key(1), case.net.layer_names.index("layer"))
    one, other, _, _ = pairs(jax.random.fold_in(key, 1), 7, 7)
    both = np.concatenate([bottoms["ps"], bottoms["pt"]])
    sigma = float(np.mean(np.sum((both[one] - both[other]) ** 2, 1)))
    assert_close(gradients(case, bottoms)["pt"], joint_slopes(case, bottoms, sigma)[3])


@pytest.mark.parametrize(("layer", "bottoms"), [(MMD("fix_gamma: true"), DOMAINS), (JMMD("auto_sigma: true"), JOINT)])
def test_step_lowers_for_cuda(layer, bottoms):
    check_export(Case("export", layer, bottoms))


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (MMD(""), {"s": (4, 3), "t": (3, 2)}, r'"s" has shape \[4, 3\] and bottom "t" \[3, 2\]; give 1 item'),
        (MMD(""), {"s": (4, 3), "t": (0, 3)}, "1 item or more of each domain"),
        (MMD("kernel_num: 0"), DOMAINS, "it has 0 kernels and a factor of 2"),
        (MMD("kernel_mul: 0"), DOMAINS, "a factor of 0; 1 or more, and above 0"),
        (JMMD(""), JOINT, "sigma is 0; give one above 0, or auto_sigma"),
        (JMMD("sigma: 1"), {**JOINT, "pt": (2, 2)}, "4 and 3 items with features, 4 and 2 with predictions"),
        (JMMD("sigma: 1 label_kernel_num: 0"), JOINT, "it has 0 kernels"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


def test_what_is_fixed_is_remembered():
    assert len(net_of(MMD("fix_gamma: true"), DOMAINS).recurrent_state) == 1
    assert not net_of(MMD(""), DOMAINS).recurrent_state
