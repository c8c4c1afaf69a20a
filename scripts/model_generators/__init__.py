"""The nets of configs/models, written as Python: `scripts/gen_models` makes the prototxts of them.

A file a family. What is published of a net is in its names and sizes: a published .caffemodel finds its layers.
"""

from model_generators import alexnet, cifar10, densenet, fcn, googlenet, mobilenet, nin, resnet, squeezenet, vgg
from model_generators.model import Model

MODELS: dict[str, Model] = {
    folder: model
    for family in (alexnet, cifar10, densenet, fcn, googlenet, mobilenet, nin, resnet, squeezenet, vgg)
    for folder, model in family.MODELS.items()
}
"""By the names of their folders."""
