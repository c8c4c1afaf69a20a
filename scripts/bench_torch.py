"""PyTorch's side of `scripts/bench`: times the net of a plan (bench_plan.py) as PyTorch's users would write it.

    bench_torch.py PLAN.json (train|infer|layers) [--gpu N] [--precision P] [--seconds S]

Runs eagerly, with autocast for bfloat16, in the memory layout that is faster for this net. Needs torch.
"""

import argparse
import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from bench_worker import Memory, Run, answer, say, seconds_of

Plan = dict[str, Any]
Form = Callable[..., Any]

SECONDS_A_LAYER = 0.2


class OnDevice(Memory):
    def begin(self) -> None:
        super().begin()
        if torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float | None:
        return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else super().peak()


class TorchNet:
    """The plan's layers as functions, its parameters and inputs on a device, in one memory layout."""

    def __init__(self, plan: Plan, train: bool, device: str, layout: torch.memory_format) -> None:
        self.train, self.device = train, device
        self.params = [self._param(p["shape"], p["learned"], layout) for p in plan["params"]]
        self.layers: list[tuple[int, Plan, Form]] = []
        self.inputs: dict[int, torch.Tensor] = {}
        joined = {}
        for i, layer in enumerate(plan["layers"]):
            if layer["type"] == "DummyData":
                self.inputs |= {k: self._input(plan["shapes"][k], layout) for k in layer["tops"]}
            elif layer["type"] == "BatchNorm" and (scale := self._scale_of(plan, i)):
                joined[i + 1] = layer
                self.layers.append((i, layer | {"tops": scale["tops"]}, self._normalization(layer, scale)))
            elif i not in joined:
                self.layers.append((i, layer, self._form(layer)))

    def _param(self, shape: list[int], learned: bool, layout: torch.memory_format) -> torch.Tensor:
        value = torch.randn(shape, device=self.device) * (2 / max(1, prod(shape[1:]))) ** 0.5
        value = value.to(memory_format=layout) if value.ndim == 4 else value
        return value.requires_grad_(self.train and learned)

    def _input(self, shape: list[int], layout: torch.memory_format) -> torch.Tensor:
        if len(shape) == 1:
            return torch.full(shape, 3, device=self.device, dtype=torch.long)
        return torch.randn(shape, device=self.device).to(memory_format=layout)

    @staticmethod
    def _scale_of(plan: Plan, i: int) -> Plan | None:
        """The Scale after layer i, if any. PyTorch's users write both as one layer."""
        following = plan["layers"][i + 1 : i + 2]
        scales = [n for n in following if n["type"] == "Scale" and n["bottoms"] == plan["layers"][i]["tops"]]
        return scales[0] if scales else None

    def _normalization(self, layer: Plan, scale: Plan) -> Form:
        weight, bias = (self.params[k] for k in scale["params"])
        mean, variance = torch.zeros_like(weight.detach()), torch.ones_like(weight.detach())
        return lambda x: F.batch_norm(x, mean, variance, weight, bias, self.train, 0.001, layer["eps"])

    def _form(self, layer: Plan) -> Form:
        values = [self.params[k] for k in layer["params"]]
        kind, bias = layer["type"], values[1] if len(values) > 1 else None
        if kind in ("Convolution", "DepthwiseConvolution"):
            arguments = (layer["stride"], layer["pad"], layer["dilation"], layer["group"])
            return lambda x: F.conv2d(x, values[0], bias, *arguments)
        if kind == "Pooling":
            pool = F.max_pool2d if layer["maximum"] else F.avg_pool2d
            return lambda x: pool(x, layer["kernel"], layer["stride"], layer["pad"], ceil_mode=True)
        if kind == "LRN":
            return _lrn(layer)
        return {
            "InnerProduct": lambda x: F.linear(x.flatten(1), values[0], bias),
            "ReLU": F.relu,
            "Dropout": lambda x: F.dropout(x, layer["ratio"], training=self.train),
            "Concat": lambda *xs: torch.cat(xs, layer["axis"]),
            "Eltwise": torch.add,
            "Split": lambda x: [x] * len(layer["tops"]),
            "Softmax": lambda x: F.softmax(x, 1),
            "SoftmaxWithLoss": lambda x, labels: F.cross_entropy(x.float(), labels),
        }[kind]

    def forward(self) -> dict[int, Any]:
        values: dict[int, Any] = dict(self.inputs)
        for _, layer, form in self.layers:
            tops = form(*[values[k] for k in layer["bottoms"]])
            values |= zip(layer["tops"], tops if isinstance(tops, list) else [tops], strict=True)
        return values

    @property
    def last(self) -> int:
        return self.layers[-1][1]["tops"][0]


def _lrn(layer: Plan) -> Form:
    size, alpha, beta, k = (layer[name] for name in ("size", "alpha", "beta", "k"))
    if layer["across"]:
        return lambda x: F.local_response_norm(x, size, alpha, beta, k)
    return lambda x: x / (1 + alpha * F.avg_pool2d(x * x, size, 1, size // 2)) ** beta


def cast(device: str, precision: str) -> torch.autocast:
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def repeated(net: TorchNet, precision: str) -> Run:
    """Returns a function that runs n steps of SGD with momentum and weight decay, or n forward passes."""
    learned = [p for p in net.params if p.requires_grad]
    fused = net.device == "cuda"
    sgd = torch.optim.SGD(learned, 1e-4, momentum=0.9, weight_decay=5e-4, fused=fused) if net.train else None

    def run(n: int) -> None:
        for _ in range(n):
            if sgd is None:
                with torch.inference_mode(), cast(net.device, precision):
                    net.forward()
                continue
            sgd.zero_grad(set_to_none=True)
            with cast(net.device, precision):
                loss = net.forward()[net.last]
            loss.backward()
            sgd.step()
        synchronize(net.device)

    return run


def layers(net: TorchNet, precision: str) -> list[tuple[int, str, float]]:
    """(number, direction, milliseconds) of each layer on its own."""
    with cast(net.device, precision):
        values = net.forward()
    times = []
    for i, layer, form in net.layers:
        bottoms = [values[k].detach() for k in layer["bottoms"]]
        bottoms = [x.requires_grad_(x.is_floating_point() and k not in net.inputs) for k, x in
                   zip(layer["bottoms"], bottoms, strict=True)]  # fmt: skip
        leaves = [x for x in (*bottoms, *(net.params[k] for k in layer["params"])) if x.requires_grad]

        def ahead(bottoms: list[Any] = bottoms, form: Form = form) -> Any:
            with cast(net.device, precision):
                return form(*bottoms)

        forward = _time(net.device, lambda n, f=ahead: [f() for _ in range(n)] and None)
        times.append((i, "forward", forward))
        if leaves and layer["type"] != "Split":

            def both(n: int, f: Form = ahead, leaves: list[Any] = leaves) -> None:
                for _ in range(n):
                    y = f()
                    torch.autograd.grad(y, leaves, torch.ones_like(y), allow_unused=True)

            times.append((i, "backward", max(_time(net.device, both) - forward, 0.0)))
    return times


def _time(device: str, run: Run) -> float:
    def whole(n: int) -> None:
        run(n)
        synchronize(device)

    times = [seconds_of(whole, 1) for _ in range(3)]
    times += [seconds_of(whole, 1) for _ in range(min(20, int(SECONDS_A_LAYER / max(*times, 1e-6))))]
    return median(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan")
    parser.add_argument("task", choices=("train", "infer", "layers"))
    parser.add_argument("--gpu", default="")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    device, plan = f"cuda:{args.gpu}" if args.gpu else "cpu", json.loads(Path(args.plan).read_text())
    if args.gpu:
        torch.cuda.set_device(int(args.gpu))
        device = "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision != "float32"
    torch.backends.cudnn.benchmark = True
    memory = OnDevice()
    say("prepared")
    fastest: list[tuple[float, torch.memory_format]] = []
    for layout in (torch.contiguous_format, torch.channels_last):
        run = repeated(TorchNet(plan, args.task != "infer", device, layout), args.precision)
        run(2)
        fastest.append((min(seconds_of(run, 1) for _ in range(3)), layout))
        del run
    net = TorchNet(plan, args.task != "infer", device, min(fastest, key=lambda pair: pair[0])[1])
    if args.task == "layers":
        say(layers(net, args.precision))
        return
    answer(repeated(net, args.precision), args.seconds, memory)


if __name__ == "__main__":
    main()
