"""Training options that Caffe lacks. All are off by default, and kept out of Caffe's schema."""

from dataclasses import dataclass

import numpy as np

from engine.errors import SolverError
from engine.host import regular_file
from engine.net.net import Net


@dataclass(frozen=True)
class TrainOptions:
    """keep: how many of the run's snapshots stay, 0 for all. watch: the test output by which parameters are the best.

    early_stop: training stops after this many tests without a better `watch`; 0: never. warmup: the number of
    iterations in which the learning rate rises linearly to the policy's. nan: what to do about numbers that are not
    finite: "ignore" them; "warn" or "stop", naming the layer that made the first; "loss": stop at a loss that is not
    finite, which costs nothing. class_weights: the weight of each class in the softmax losses of the trained net, ()
    for equal weights. precision: "float32", or "bfloat16" for the layers that gain from it, with float32 parameters.
    test_last: whether a run ends with a test of the last model even if test_interval would have none there.
    recompute: whether blobs between the layers with weights are computed again for the gradient instead of kept.
    """

    keep: int = 0
    watch: str = ""
    early_stop: int = 0
    warmup: int = 0
    nan: str = "ignore"
    class_weights: tuple[float, ...] = ()
    precision: str = "float32"
    test_last: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.early_stop and not self.watch:
            raise SolverError("-early_stop needs -watch: the test output that has to improve.")
        if any(not (np.isfinite(w) and w >= 0) for w in self.class_weights):
            raise SolverError(f"-class_weights {self.class_weights}: each must be a number of 0 or more.")

    def warmed(self, iteration: int) -> np.float32:
        """The warm-up's factor on the learning rate at `iteration`."""
        return np.float32(min(1.0, (iteration + 1) / self.warmup)) if self.warmup else np.float32(1)

    def weigh(self, net: Net) -> None:
        """Sets the class weights in the losses of `net`. Raises SolverError if none of them takes class weights."""
        if self.class_weights:
            weights = np.asarray(self.class_weights, np.float32)
            weighed = [layer.name for layer in net.layers if layer.weigh_classes(weights)]
            if not weighed:
                raise SolverError("-class_weights: the net has no SoftmaxWithLoss to weigh classes in.")


def read_class_weights(argument: str) -> tuple[float, ...]:
    """Class weights from text such as "1,2.5,1", or from a file with such text. Raises SolverError."""
    words = argument
    if argument and regular_file.is_file(argument):
        try:
            words = regular_file.read(argument).decode()
        except (OSError, UnicodeDecodeError) as e:
            raise SolverError(f"-class_weights {argument}: cannot be read: {e}.") from e
    try:
        return tuple(float(word) for word in words.replace(",", " ").split())
    except ValueError as e:
        raise SolverError(
            f"-class_weights {argument}: {e}. Give one number per class, such as 1,2.5,1, or a file of them."
        ) from e
