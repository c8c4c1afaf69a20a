"""The nets of configs/models, written in Python: `scripts/gen_models` generates their prototxts.

There is one file per family. Names and sizes are the published ones, so that a published .caffemodel fits the layers.
"""

from model_generators import alexnet, cifar10, densenet, fcn, googlenet, mobilenet, nin, resnet, squeezenet, vgg
from model_generators.model import Model

MODELS: dict[str, Model] = {
    folder: model
    for family in (alexnet, cifar10, densenet, fcn, googlenet, mobilenet, nin, resnet, squeezenet, vgg)
    for folder, model in family.MODELS.items()
}
"""The models by the names of their folders."""
