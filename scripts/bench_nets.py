"""The nets that `scripts/bench` times: those that Caffe's users train, with batch sizes for a CPU and for a GPU.

Each is built from its published structure, as text that any Caffe reads. The data are constants of a DummyData layer,
which no Caffe fills again in each pass; a program that times a net may replace them by its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from inception_modules import INCEPTIONS


@dataclass
class Definition:
    """A net built layer by layer. Each method adds a layer on the blob `bottom` and returns the name of its top."""

    train: bool
    layers: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, bottoms: list[str], options: str = "", top: str = "") -> str:
        bottom_fields = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.layers.append(f'layer {{ name: "{name}" type: "{kind}" {bottom_fields} top: "{top or name}" {options} }}')
        return top or name

    def convolution(
        self, name: str, bottom: str, outputs: int, kernel: int, stride: int = 1, pad: int = 0, group: int = 1,
        bias: bool = True,
    ) -> str:  # fmt: skip
        options = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad} group: {group}"
        options += ' weight_filler { type: "msra" }' + ("" if bias else " bias_term: false")
        return self.add("Convolution", name, [bottom], f"convolution_param {{ {options} }}")

    def relu(self, blob: str) -> str:
        return self.add("ReLU", f"{blob}/relu", [blob], top=blob)

    def pool(self, name: str, bottom: str, method: str, kernel: int, stride: int, pad: int = 0) -> str:
        options = f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad}"
        return self.add("Pooling", name, [bottom], f"pooling_param {{ {options} }}")

    def average(self, bottom: str) -> str:
        """The mean of each plane."""
        return self.add("Pooling", "average", [bottom], "pooling_param { pool: AVE global_pooling: true }")

    def lrn(self, name: str, bottom: str, size: int, alpha: float, within: bool = False) -> str:
        options = f"local_size: {size} alpha: {alpha} beta: 0.75"
        options += " norm_region: WITHIN_CHANNEL" if within else ""
        return self.add("LRN", name, [bottom], f"lrn_param {{ {options} }}")

    def inner_product(self, name: str, bottom: str, outputs: int) -> str:
        options = f'num_output: {outputs} weight_filler {{ type: "msra" }}'
        return self.add("InnerProduct", name, [bottom], f"inner_product_param {{ {options} }}")

    def dropout(self, blob: str, ratio: float) -> str:
        return self.add("Dropout", f"{blob}/drop", [blob], f"dropout_param {{ dropout_ratio: {ratio} }}", top=blob)

    def normalized(self, blob: str, relu: bool = True) -> str:
        """BatchNorm and Scale in place, followed by ReLU."""
        self.add("BatchNorm", f"{blob}/bn", [blob], top=blob)
        self.add("Scale", f"{blob}/scale", [blob], "scale_param { bias_term: true }", top=blob)
        return self.relu(blob) if relu else blob


def lenet(net: Definition) -> str:
    """LeCun et al. 1998, as in Caffe's example."""
    x = net.pool("pool1", net.convolution("conv1", "data", 20, 5), "MAX", 2, 2)
    x = net.pool("pool2", net.convolution("conv2", x, 50, 5), "MAX", 2, 2)
    return net.inner_product("ip2", net.relu(net.inner_product("ip1", x, 500)), 10)


def cifar10_full(net: Definition) -> str:
    """Krizhevsky's net for CIFAR-10 (cuda-convnet, layers-18pct)."""
    x = net.relu(net.pool("pool1", net.convolution("conv1", "data", 32, 5, pad=2), "MAX", 3, 2))
    x = net.relu(net.convolution("conv2", net.lrn("norm1", x, 3, 5e-5, within=True), 32, 5, pad=2))
    x = net.lrn("norm2", net.pool("pool2", x, "AVE", 3, 2), 3, 5e-5, within=True)
    x = net.relu(net.convolution("conv3", x, 64, 5, pad=2))
    return net.inner_product("ip1", net.pool("pool3", x, "AVE", 3, 2), 10)


def caffenet(net: Definition) -> str:
    """AlexNet (Krizhevsky et al. 2012) with pooling before normalisation."""
    x = net.pool("pool1", net.relu(net.convolution("conv1", "data", 96, 11, 4)), "MAX", 3, 2)
    x = net.relu(net.convolution("conv2", net.lrn("norm1", x, 5, 1e-4), 256, 5, pad=2, group=2))
    x = net.lrn("norm2", net.pool("pool2", x, "MAX", 3, 2), 5, 1e-4)
    for name, outputs, group in (("conv3", 384, 1), ("conv4", 384, 2), ("conv5", 256, 2)):
        x = net.relu(net.convolution(name, x, outputs, 3, pad=1, group=group))
    x = net.pool("pool5", x, "MAX", 3, 2)
    for name in ("fc6", "fc7"):
        x = net.dropout(net.relu(net.inner_product(name, x, 4096)), 0.5)
    return net.inner_product("fc8", x, 1000)


def googlenet(net: Definition) -> str:
    """Szegedy et al. 2014, without the two auxiliary classifiers."""
    x = net.relu(net.convolution("conv1", "data", 64, 7, 2, pad=3))
    x = net.lrn("norm1", net.pool("pool1", x, "MAX", 3, 2), 5, 1e-4)
    x = net.relu(net.convolution("conv2", net.relu(net.convolution("conv2/reduce", x, 64, 1)), 192, 3, pad=1))
    x = net.pool("pool2", net.lrn("norm2", x, 5, 1e-4), "MAX", 3, 2)
    for name, (direct, reduce3, outputs3, reduce5, outputs5, projected) in INCEPTIONS.items():
        if name in ("4a", "5a"):
            x = net.pool(f"pool{name[0]}", x, "MAX", 3, 2)
        parts = [net.relu(net.convolution(f"{name}/1x1", x, direct, 1))]
        for kernel, reduced, outputs in ((3, reduce3, outputs3), (5, reduce5, outputs5)):
            inner = net.relu(net.convolution(f"{name}/{kernel}x{kernel}_reduce", x, reduced, 1))
            outer = net.convolution(f"{name}/{kernel}x{kernel}", inner, outputs, kernel, pad=kernel // 2)
            parts.append(net.relu(outer))
        pooled = net.pool(f"{name}/pool", x, "MAX", 3, 1, pad=1)
        parts.append(net.relu(net.convolution(f"{name}/projection", pooled, projected, 1)))
        x = net.add("Concat", name, parts)
    return net.inner_product("classifier", net.dropout(net.average(x), 0.4), 1000)


def resnet50(net: Definition) -> str:
    """He et al. 2015, table 1; the stride is in a block's first 1×1, as in the authors' Caffe nets."""
    x = net.normalized(net.convolution("conv1", "data", 64, 7, 2, pad=3, bias=False))
    x = net.pool("pool1", x, "MAX", 3, 2)
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            name, stride = f"{stage + 2}{'abcdef'[block]}", 2 if stage and not block else 1
            y = net.normalized(net.convolution(f"{name}/a", x, width, 1, stride, bias=False))
            y = net.normalized(net.convolution(f"{name}/b", y, width, 3, pad=1, bias=False))
            y = net.normalized(net.convolution(f"{name}/c", y, 4 * width, 1, bias=False), relu=False)
            if not block:
                x = net.normalized(net.convolution(f"{name}/project", x, 4 * width, 1, stride, bias=False), relu=False)
            x = net.relu(net.add("Eltwise", name, [x, y]))
    return net.inner_product("classifier", net.average(x), 1000)


def mobilenet(net: Definition) -> str:
    """Howard et al. 2017, table 1: alternating depthwise 3×3 and 1×1 convolutions."""
    x, channels = net.normalized(net.convolution("conv1", "data", 32, 3, 2, pad=1, bias=False)), 32
    rows = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
    for i, (outputs, stride) in enumerate(rows, 2):
        x = net.convolution(f"conv{i}/dw", x, channels, 3, stride, pad=1, group=channels, bias=False)
        x = net.convolution(f"conv{i}/sep", net.normalized(x), outputs, 1, bias=False)
        x, channels = net.normalized(x), outputs
    return net.inner_product("classifier", net.average(x), 1000)


@dataclass(frozen=True)
class Benchmark:
    """A net, the shape of its pictures, its number of classes, and its batch sizes by device for both tasks."""

    build: Callable[[Definition], str]
    picture: tuple[int, int, int]
    classes: int
    cpu: dict[str, int]
    gpu: dict[str, int]


LARGE = (3, 224, 224)
NETS = {
    "lenet": Benchmark(lenet, (1, 28, 28), 10, {"train": 64, "infer": 64}, {"train": 256, "infer": 256}),
    "cifar10_full": Benchmark(
        cifar10_full, (3, 32, 32), 10, {"train": 100, "infer": 100}, {"train": 256, "infer": 256}
    ),
    "caffenet": Benchmark(caffenet, (3, 227, 227), 1000, {"train": 16, "infer": 10}, {"train": 256, "infer": 64}),
    "googlenet": Benchmark(googlenet, LARGE, 1000, {"train": 8, "infer": 10}, {"train": 128, "infer": 64}),
    "resnet50": Benchmark(resnet50, LARGE, 1000, {"train": 8, "infer": 10}, {"train": 64, "infer": 64}),
    "mobilenet": Benchmark(mobilenet, LARGE, 1000, {"train": 8, "infer": 10}, {"train": 64, "infer": 64}),
}


def definition(name: str, task: str, batch: int) -> str:
    """The net as a prototxt: with a loss for "train", with class probabilities for "infer"."""
    model, net = NETS[name], Definition(task == "train")
    shape = " ".join(f"dim: {d}" for d in (batch, *model.picture))
    label = f"shape {{ dim: {batch} }} data_filler {{ value: {model.classes // 2} }}" if net.train else ""
    data = f"dummy_data_param {{ shape {{ {shape} }} data_filler {{ value: 1 }} {label} }}"
    tops = 'top: "label"' if net.train else ""
    scores = model.build(net)
    if net.train:
        net.add("SoftmaxWithLoss", "loss", [scores, "label"])
    else:
        net.add("Softmax", "probabilities", [scores])
    source = f'layer {{ name: "source" type: "DummyData" top: "data" {tops} {data} }}'
    return "\n".join([f'name: "{name}"', source, *net.layers, ""])
