"""Manifest: everything a solver needs, that is, its nets and the databases, lists, means and weights they name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import PrototxtError
from engine.graph import blob_shapes, known_layers, model_fit, random_fields
from engine.graph.blob_shapes import Sizes
from engine.graph.build import build_graph, filter_net
from engine.graph.graph import Graph, Origin
from engine.proto import caffe_pb2 as pb
from engine.proto import model_shapes, paths, text
from engine.solver import settings
from hpcbrew import layout
from hpcbrew.errors import ManifestError
from hpcbrew.job import JobRequest
from hpcbrew.plan import (
    advice,
    batch_shapes,
    class_labels,
    file_lists,
    items,
    listed_pictures,
    overrides,
    python_modules,
    sampled_records,
)
from hpcbrew.plan.items import Item, Reference

# The fields in which a layer names something that must exist, and what that is.
INPUTS = {
    ("data_param", "source"): "database",
    ("transform_param", "mean_file"): "mean",
    ("image_data_param", "source"): "list of images",
    ("dense_image_data_param", "source"): "list of pairs",
    ("video_data_param", "source"): "list of videos",
    ("window_data_param", "source"): "list of windows",
    ("image_gt_data_param", "source"): "list of windows",
    ("hdf5_data_param", "source"): "list of HDF5 files",
    ("infogain_loss_param", "source"): "infogain matrix",
    ("detection_evaluate_param", "name_size_file"): "list of sizes",
    ("detection_output_param.save_output_param", "label_map_file"): "label map",
    ("detection_output_param.save_output_param", "name_size_file"): "list of sizes",
}
# Published nets name such files on their authors' machines: the engine does without those that do not exist.
MAY_LACK = "detection_output_param.save_output_param"
# Lists that name further files, relative to the field root_folder beside them.
ROOT_FOLDER = {"list of images", "list of pairs", "list of videos", "list of windows"}


@dataclass(frozen=True)
class Manifest:
    """Everything a job needs. `definitions`: by their names in the run folder. `hdf5`: for each list of HDF5 files, the
    files it names.

    `modules`: the sources of Python layers, by their places in the run folder. `train_graph`: the net in phase TRAIN;
    `sizes`: what is known of its blobs and parameters. `unknown`: sentences on what the cluster would need to have,
    which has not been checked. `warnings`: about what is valid but probably not meant.
    """

    solver_path: Path
    definitions: dict[str, pb.SolverParameter | pb.NetParameter]
    references: tuple[Reference, ...]
    extra: tuple[Item, ...]
    hdf5: dict[Path, tuple[Item, ...]]
    weights: tuple[Item, ...]
    resume: Item | None
    modules: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    train_graph: Graph | None = None
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def solver(self) -> pb.SolverParameter:
        solver = self.definitions[layout.SOLVER]
        assert isinstance(solver, pb.SolverParameter)
        return solver

    @property
    def items(self) -> tuple[Item, ...]:
        """Everything except the definitions and the HDF5 lists (which are rewritten with them), each once."""
        referenced_items = [r.item for r in self.references if r.item.path not in self.hdf5]
        hdf5_items = [item for items in self.hdf5.values() for item in items]
        resume = [self.resume] if self.resume else []
        return tuple(dict.fromkeys([*referenced_items, *hdf5_items, *self.extra, *self.weights, *resume]))

    def texts(self, place: Callable[[Item], str]) -> dict[str, str]:
        """Returns the definitions for the run folder, with each item named by its `place` there."""
        definitions = {name: type(message)() for name, message in self.definitions.items()}
        for name, message in definitions.items():
            message.CopyFrom(self.definitions[name])  # type: ignore[arg-type]
        lists: dict[str, str] = {}
        for reference in self.references:
            path = self._hdf5_name(reference.item) if reference.item.path in self.hdf5 else place(reference.item)
            if reference.item.role == "images":
                path = path.rstrip("/") + "/"
            _assign(definitions[reference.definition], reference.field, path)
            if reference.item.path in self.hdf5:
                lists[path] = "".join(f"{place(item)}\n" for item in self.hdf5[reference.item.path])
        return {name: text.format(message) for name, message in definitions.items()} | lists | self.modules

    def _hdf5_name(self, item: Item) -> str:
        lists_in_order = list(self.hdf5)
        return f"hdf5-{lists_in_order.index(item.path)}-{item.path.name}"


def collect(request: JobRequest, *, remote: bool = False) -> Manifest:
    """Reads the solver and its nets, and finds every file that they need. `remote`: the job runs on another machine,
    which is expected to have what is named by an absolute path and does not exist here.

    Raises PrototxtError, SolverError and NetError (engine.errors) for definitions that cannot be used, ManifestError
    for a missing file, RequestError for an override that a solver does not accept.
    """
    return _Collector(request, remote).collect()


class _Collector:
    """Walks from the solver to everything that it needs."""

    def __init__(self, request: JobRequest, remote: bool) -> None:
        self.request, self.remote = request, remote
        self.path = request.solver.absolute()
        self.solver = overrides.apply(text.read_solver(request.solver), request.overrides)
        with settings.named(request.solver, self.solver):
            settings.check(self.solver)
        self.definitions: dict[str, pb.SolverParameter | pb.NetParameter] = {layout.SOLVER: self.solver}
        self.names: dict[Path, str] = {}
        self.references: list[Reference] = []
        self.extra: list[Item] = []
        self.hdf5: dict[Path, tuple[Item, ...]] = {}
        self.modules: dict[str, str] = {}
        self.unknown: list[str] = []
        self.warnings: list[str] = []
        self.labels: dict[Path, dict[int, str]] = {}
        self.has_tests = False
        self.train_graph: Graph | None = None
        self.sizes = Sizes()

    def collect(self) -> Manifest:
        model_paths = [Path(part) for w in self.request.weights for part in str(w).split(",")]
        weights = [self._file("weights", path, "--weights", Path()) for path in model_paths]
        self._solver_weights()
        resume = items.file("solver state", self.request.resume, "--resume", Path()) if self.request.resume else None
        if resume is not None:
            resume = items.with_siblings(resume)
        self._walk_nets()
        for item in (*weights, *(r.item for r in self.references if r.item.role == "weights")):
            if not item.on_cluster:
                self._check_weights(item.path)
        self.warnings += advice.warnings(
            self.solver, self.request.solver, self.request.gpus_per_node, tests=self.has_tests
        )
        self.solver.snapshot_prefix = f"{layout.SNAPSHOTS}/{_prefix(self.solver, self.path)}"
        return Manifest(
            solver_path=self.path,
            definitions=self.definitions,
            references=tuple(self.references),
            extra=tuple(self.extra),
            hdf5=self.hdf5,
            weights=tuple(weights),
            resume=resume,
            modules=self.modules,
            unknown=tuple(dict.fromkeys(self.unknown)),
            warnings=tuple(dict.fromkeys(self.warnings)),
            train_graph=self.train_graph,
            sizes=self.sizes,
        )

    def _file(self, role: str, path: Path, location: str, named_in: Path) -> Item:
        return items.file(role, path, location, named_in, remote=self.remote)

    def _solver_weights(self) -> None:
        """Collects the models that the solver names. Each gets an entry of its own, also where commas join several."""
        models = [(part.strip(), entry) for entry in self.solver.weights for part in entry.split(",")]
        self.solver.weights[:] = [name for name, _ in models]
        for index, (name, entry) in enumerate(models):
            location = f"{self.request.solver}{settings.line_of(self.request.solver, 'weights', [entry])}: weights"
            item = self._file("weights", paths.resolve(name, self.path), location, self.path)
            self.references.append(Reference(layout.SOLVER, ("weights", index), item))

    def _check_weights(self, path: Path) -> None:
        """Raises ManifestError for a model whose arrays do not fit the net. HDF5 models are left to the engine."""
        try:
            shapes = model_shapes.read(path) or {}
        except PrototxtError as error:
            raise ManifestError(str(error)) from None
        for name, expected in self.sizes.params.items():
            if name in shapes and (complaint := model_fit.complaint(name, shapes[name], expected)):
                raise ManifestError(f"{path}: {complaint}")

    def _walk_nets(self) -> None:
        solver = self.solver
        train_fields = [name for name in settings.TRAIN_NETS if solver.HasField(name)]
        train = _state(pb.TRAIN, solver.train_state)
        tests = [_state(pb.TEST, s) for s in solver.test_state] or [_state(pb.TEST, pb.NetState())]
        own_tests = len(solver.test_net) + len(solver.test_net_param)
        tests = tests if any(solver.test_iter) else []
        common = train_fields[0] in ("net", "net_param")
        self._net((train_fields[0],), [train, *(tests if common and own_tests < len(solver.test_iter) else [])])
        for index in range(len(solver.test_net_param)):
            self._net(("test_net_param", index), tests)
        for index in range(len(solver.test_net)):
            self._net(("test_net", index), tests)

    def _net(self, field: tuple[str | int, ...], states: list[pb.NetState]) -> None:
        """Collects from a net, which the solver holds inline or names by path, in the states in which it will run."""
        value = self.solver
        for step in field:
            value = getattr(value, step) if isinstance(step, str) else value[step]  # type: ignore[index]
        if isinstance(value, pb.NetParameter):
            self._layers(layout.SOLVER, field, value, states, self.path)
            return
        path = settings.find_net(str(field[0]), str(value), self.request.solver, f"--set {field[0]}={{}}")
        self._note_passed_over(str(value), self.request.solver)
        name = self.names.get(path.absolute())
        if name is None:
            net = text.read_net(path)
            name = self.names[path.absolute()] = self._free_name(path.name)
            self.definitions[name] = net
        else:
            net = self.definitions[name]  # type: ignore[assignment]
        _assign(self.solver, field, name)
        self._layers(name, (), net, states, path)

    def _note_passed_over(self, name: str, named_in: Path) -> None:
        if other := paths.passed_over(name, named_in):
            self.warnings.append(
                f"{named_in}: {name} is both in {Path.cwd()} and beside this file: the one in {Path.cwd()} is used, as "
                f"in Caffe, and not {other}"
            )

    def _free_name(self, name: str) -> str:
        """A name that differs from those given by more than case: a Mac's file system ignores that."""
        stem, suffix, count = Path(name).stem, Path(name).suffix, 1
        names = {other.casefold() for other in self.definitions}
        while name.casefold() in names:
            count += 1
            name = f"{stem}-{count}{suffix}"
        return name

    def _layers(
        self,
        definition: str,
        prefix: tuple[str | int, ...],
        net: pb.NetParameter,
        states: list[pb.NetState],
        named_in: Path,
    ) -> None:
        used_layers: set[bytes] = set()
        graphs: list[Graph] = []
        for state in states:
            full_state = pb.NetState()
            full_state.CopyFrom(net.state)
            full_state.MergeFrom(state)
            # Refuses here, not on the cluster, what cannot be built.
            graph = build_graph(net, full_state, named_in)
            known_layers.check(graph)
            graphs.append(graph)
            used_layers |= {layer.SerializeToString() for layer in filter_net(net, full_state, named_in).layer}
        counts: dict[str, int] = {}
        for index, layer in enumerate(net.layer):
            origin = Origin(str(named_in), layer.name, counts.setdefault(layer.name, 0))
            counts[layer.name] += 1
            if layer.SerializeToString() in used_layers:
                self._inputs(definition, (*prefix, "layer", index), layer, origin, named_in)
            if layer.type == "MultiStageMeanfield":
                random_fields.write_out(layer, str(named_in))
            if layer.hdf5_output_param.HasField("file_name"):
                layer.hdf5_output_param.file_name = Path(layer.hdf5_output_param.file_name).name
            self.has_tests |= any(rule.phase == pb.TEST for rule in layer.include if rule.HasField("phase"))
        for graph in graphs:
            self._check_labels(graph, named_in)
        for graph in graphs:
            self._size(graph, named_in)

    def _size(self, graph: Graph, named_in: Path) -> None:
        """Raises LayerError if layers do not fit together. Keeps the sizes of the first net only, which is the trained
        one: a test net may be in phase TRAIN too."""
        sources = {i: batch_shapes.tops(node, named_in) for i, node in enumerate(graph.nodes) if not node.bottoms}
        known_shapes = {i: shapes for i, shapes in sources.items() if shapes is not None}
        sizes = blob_shapes.sizes(graph, known_shapes)
        if self.train_graph is None:
            self.train_graph, self.sizes = graph, sizes

    def _check_labels(self, graph: Graph, named_in: Path) -> None:
        for layer in (node.config for node in graph.nodes):
            if layer.type in ("ImageData", "Data") and len(layer.top) > 1:
                param = layer.image_data_param if layer.type == "ImageData" else layer.data_param
                places = self.labels.get(paths.resolve(param.source, named_in), {})
                class_labels.check(graph, layer.top[1], places)

    def _inputs(
        self,
        definition: str,
        prefix: tuple[str | int, ...],
        layer: pb.LayerParameter,
        origin: Origin,
        named_in: Path,
    ) -> None:
        if layer.type == "Python" and layer.python_param.module:
            self._module(layer, origin, named_in)
        for (part, name), role in INPUTS.items():
            message = _part(layer, part)
            if not message.HasField(name) or (part == MAY_LACK and not message.output_directory):
                continue
            location = f'{origin}layer "{layer.name}" ({layer.type}): {part}.{name}'
            path = paths.resolve(getattr(message, name), named_in)
            self._note_passed_over(getattr(message, name), named_in)
            if part == MAY_LACK and not items.exists(path, location):
                continue
            if role == "database":
                item = items.database(path, layer.data_param.backend, location, named_in, remote=self.remote)
            else:
                item = self._file(role, path, location, named_in)
            reference = Reference(definition, (*prefix, *part.split("."), name), item)
            if reference in self.references:
                continue
            self.references.append(reference)
            if item.on_cluster:
                continue
            if role == "database" and layer.type == "Data":
                self.labels[path] = sampled_records.look(item.path, layer, location)
            elif role == "list of HDF5 files":
                files = file_lists.read_hdf5(item.path, location)
                self.hdf5[item.path] = tuple(
                    self._file("HDF5 file", paths.resolve(p, item.path), location, item.path) for p in files
                )
            elif role in ROOT_FOLDER:
                names = self._names(role, layer, path, item.path, location)
                root, members = file_lists.root_and_members(message.root_folder, names, item.path, named_in, location)
                absolute = (message.root_folder or names[0]).startswith("/")
                images = items.images(root, members, item.path, location, remote=self.remote and absolute)
                self.references.append(Reference(definition, (*prefix, part, "root_folder"), images))
                if not file_lists.has_pairs(layer) and role != "list of videos" and not images.on_cluster:
                    listed_pictures.check_files(images.path, images.members, layer, location)

    def _names(self, role: str, layer: pb.LayerParameter, path: Path, listing: Path, location: str) -> list[str]:
        """Returns the files that a list names, read as its layer reads it. Keeps the labels of a list of images, by
        `path`."""
        if role == "list of windows":
            return file_lists.read_windows(listing, location)
        if role == "list of videos":
            return file_lists.read_videos(listing, layer.video_data_param, location)
        if file_lists.has_pairs(layer):
            return file_lists.read_pairs(listing, location)
        image_list = file_lists.read_images(listing, location, layer.image_data_param.num_labels)
        self.labels[path] = {label: f"{listing}:{line}" for label, line in image_list.first_lines().items()}
        return image_list.names

    def _module(self, layer: pb.LayerParameter, origin: Origin, named_in: Path) -> None:
        """Adds a Python layer's module, which the engine will find in the run folder. Only the user knows which files
        the module opens itself."""
        name, places = layer.python_param.module, python_modules.folders(named_in)
        label = f'layer "{layer.name}" ({layer.type})'
        sources = python_modules.sources(name, places, f"{origin}{label}: module {name}")
        self.modules.update(sources)
        if not sources:
            folders = ", ".join(map(str, places))
            self.unknown.append(
                f'whether the cluster has the module "{name}" of {label}: it is not in {folders}, and is not sent; if '
                "it is on this machine, put its folder on PYTHONPATH"
            )
        self.unknown.append(f"which files {label} opens itself: they are not sent")


def _state(phase: int, additions: pb.NetState) -> pb.NetState:
    state = pb.NetState(phase=phase)  # type: ignore[arg-type]
    state.MergeFrom(additions)
    return state


def _prefix(solver: pb.SolverParameter, path: Path) -> str:
    """Returns the file name part of snapshot_prefix. As in Caffe, if it is a folder, the solver's file name is used."""
    name = "" if solver.snapshot_prefix.endswith("/") else Path(solver.snapshot_prefix).name
    return name or path.stem


def _part(message: Any, way: str) -> Any:
    """Returns a block inside a message by its dotted name."""
    for step in way.split("."):
        message = getattr(message, step)
    return message


def _assign(message: Any, field: tuple[str | int, ...], value: str) -> None:
    *way, last = field
    for step in way:
        message = getattr(message, step) if isinstance(step, str) else message[step]
    if isinstance(last, str):
        setattr(message, last, value)
    else:
        message[last] = value
