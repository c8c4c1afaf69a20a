"""What Caffe has not and its users missed. All off unless asked for; kept out of Caffe's schema."""

from dataclasses import dataclass

import numpy as np

from engine.errors import SolverError
from engine.host import regular_file
from engine.net.net import Net


@dataclass(frozen=True)
class TrainOptions:
    """keep: how many of the run's snapshots stay, 0 for all. watch: the test output that tells the best parameters.

    early_stop: tests without a better `watch` after which training stops, 0 for never. warmup: iterations in which the
    learning rate rises linearly to the policy's. nan: what to do about numbers that are not finite: "ignore" them;
    "warn" or "stop" with the name of the layer that made the first; "loss": stop at a loss that is none, for no cost.
    class_weights: how much the items of each class count in the softmax losses of the net that is trained, () for
    alike. precision: "float32", or "bfloat16" for the layers that gain by it, on float32 parameters. test_last: whether
    a run ends with a test, so that the last result is of the last model, where test_interval would have none.
    recompute: whether blobs between the layers with weights are computed anew for the gradient, and not kept.
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
            raise SolverError("-early_stop needs -watch: the test output that has to get better.")
        if any(not (np.isfinite(w) and w >= 0) for w in self.class_weights):
            raise SolverError(f"-class_weights {self.class_weights}: each must be a number of 0 or more.")

    def warmed(self, iteration: int) -> np.float32:
        """The factor on the learning rate at `iteration`."""
        return np.float32(min(1.0, (iteration + 1) / self.warmup)) if self.warmup else np.float32(1)

    def weigh(self, net: Net) -> None:
        """Gives the losses of `net` the class weights. Raises SolverError where it has none that takes them."""
        if self.class_weights:
            weights = np.asarray(self.class_weights, np.float32)
            weighed = [layer.name for layer in net.layers if layer.weigh_classes(weights)]
            if not weighed:
                raise SolverError("-class_weights: the net has no SoftmaxWithLoss to weigh classes in.")


def read_class_weights(given: str) -> tuple[float, ...]:
    """The class weights in "1,2.5,1", or in a file that holds them, one after the other. Raises SolverError."""
    words = given
    if given and regular_file.is_file(given):
        try:
            words = regular_file.read(given).decode()
        except (OSError, UnicodeDecodeError) as e:
            raise SolverError(f"-class_weights {given}: cannot be read: {e}.") from e
    try:
        return tuple(float(word) for word in words.replace(",", " ").split())
    except ValueError as e:
        raise SolverError(
            f"-class_weights {given}: {e}. It takes one number a class, as 1,2.5,1, or a file of them."
        ) from e
