"""HDF5Output: writes a net's values to a file, batch by batch."""

from pathlib import Path

from engine.data.hdf5_sink import HDF5Sink
from engine.errors import DataError
from engine.layers.base import Array, Arrays, Context, Layer, Shape
from engine.layers.registry import layer


@layer("HDF5Output")
class HDF5Output(Layer):
    """Writes its two bottoms, data and label, with equally many rows, to an HDF5 file. No tops."""

    sink = True
    single_device_reason = "writes one file"

    def setup(self, data: Shape, label: Shape) -> list[Shape]:
        if not self.config.hdf5_output_param.file_name:
            raise self.error("file_name is empty; give it the file to write.")
        if not data or not label or data[0] != label[0]:
            raise self.error(
                f"{self.bottom(0)} has shape {list(data)} and {self.bottom(1)} {list(label)}; they must have equally "
                "many rows."
            )
        return []

    def forward(self, params: Arrays, bottoms: Arrays, ctx: Context) -> list[Array]:
        return []

    def open(self) -> HDF5Sink:
        """Opens the file, to which the host writes what `net.forward` returns for this layer."""
        try:
            return HDF5Sink(Path(self.config.hdf5_output_param.file_name))
        except DataError as e:
            raise self.error(str(e)) from e
