"""Every module has its tests where one looks for them: hpcbrew/plan/build.py in tests/hpcbrew/plan/test_build.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ELSEWHERE = {
    "hpcbrew/cli/adopt.py": "hpcbrew/track/test_adopt.py",
    "hpcbrew/cli/cancel.py": "hpcbrew/cli/test_changes.py",
    "hpcbrew/cli/compare.py": "end_to_end/test_sweep.py",
    "hpcbrew/cli/completion.py": "hpcbrew/cli/test_cli.py",
    "hpcbrew/cli/hold.py": "hpcbrew/cli/test_changes.py",
    "hpcbrew/cli/options.py": "hpcbrew/cli/test_submit.py",
    "hpcbrew/cli/preview.py": "hpcbrew/cli/test_submit.py",
    "hpcbrew/cli/release.py": "hpcbrew/cli/test_changes.py",
    "hpcbrew/cli/removing.py": "hpcbrew/cli/test_rm.py",
    "hpcbrew/cli/resume.py": "hpcbrew/submit/test_resume.py",
    "hpcbrew/cli/sending.py": "hpcbrew/cli/test_submit.py",
    "hpcbrew/cli/submission.py": "hpcbrew/cli/test_submit.py",
    "hpcbrew/cli/sweep.py": "hpcbrew/cli/test_submit.py",
    "hpcbrew/plan/items.py": "hpcbrew/plan/test_manifest.py",
    "hpcbrew/plan/picture_fit.py": "hpcbrew/plan/test_listed_pictures.py",
    "hpcbrew/localqueue/runner.py": "hpcbrew/localqueue/test_queue.py",
    "hpcbrew/localqueue/store.py": "hpcbrew/localqueue/test_queue.py",
    "hpcbrew/schedulers/local.py": "hpcbrew/cli/test_submit.py",
    "hpcbrew/schedulers/pbs_output.py": "hpcbrew/schedulers/test_pbs.py",
    "hpcbrew/schedulers/pbs_status.py": "hpcbrew/schedulers/test_pbs.py",
    "hpcbrew/transports/client_only.py": "hpcbrew/transports/test_as_ssh.py",
    "hpcbrew/transports/identities.py": "hpcbrew/transports/test_as_ssh.py",
    "hpcbrew/transports/waiting.py": "hpcbrew/transports/test_rude_servers.py",
    "hpcbrew/setup/trial_job.py": "hpcbrew/cli/test_setup.py",
    "engine/cli/runtime.py": "engine/devices/test_jax_setup.py",
    "engine/tools/layers_option.py": "engine/proto/test_layer_modules.py",
    "engine/cli/test.py": "engine/cli/test_cli.py",
    "engine/cli/timing.py": "engine/cli/test_cli.py",
    "engine/cli/train.py": "engine/cli/test_cli.py",
    "engine/graph/detections.py": "engine/layers/test_multibox_loss.py",
    "engine/graph/known_layers.py": "engine/proto/test_layer_names.py",
    "engine/graph/model_fit.py": "engine/net/test_weights.py",
    "engine/graph/new_shapes.py": "engine/graph/test_fits.py",
    "engine/graph/dense_blocks.py": "engine/layers/test_dense_block.py",
    "engine/graph/normalized.py": "engine/graph/test_blob_shapes.py",
    "engine/graph/param_shapes.py": "engine/graph/test_blob_shapes.py",
    "engine/graph/parts.py": "engine/graph/test_fits.py",
    "engine/graph/predictions.py": "engine/graph/test_fits.py",
    "engine/graph/priors.py": "engine/layers/test_prior_box.py",
    "engine/graph/recurrences.py": "engine/layers/test_recurrent.py",
    "engine/graph/random_fields.py": "engine/layers/test_multi_stage_meanfield.py",
    "engine/graph/regions.py": "engine/layers/test_roi.py",
    "engine/graph/resized.py": "engine/layers/test_upsampling.py",
    "engine/net/assembly.py": "engine/net/test_net.py",
    "engine/graph/same_shape.py": "engine/graph/test_fits.py",
    "engine/graph/source_shapes.py": "engine/graph/test_blob_shapes.py",
    "engine/graph/windows.py": "engine/layers/test_pooling.py",
    "engine/data/list_source.py": "engine/data/test_image_source.py",
    "engine/data/rounding.py": "engine/data/test_window_source.py",
    "engine/data/window_words.py": "engine/data/test_window_source.py",
    "engine/ops/trace_flag.py": "engine/ops/test_platform.py",
    "engine/proto/wire.py": "engine/proto/test_fork_wire.py",
    "engine/layers/loss.py": "engine/layers/test_classification_loss.py",
    "engine/layers/registry.py": "engine/proto/test_layer_names.py",
    "engine/layers/windowed.py": "engine/layers/test_pooling.py",
    "engine/ops/batch_norm.py": "engine/layers/test_normalization.py",
    "engine/ops/convolution.py": "engine/layers/test_convolution.py",
    "engine/ops/convolution_xla.py": "engine/ops/test_convolution_cpu.py",
    "engine/proto/fork_numbers.py": "engine/proto/test_fork_wire.py",
    "engine/ops/im2col.py": "engine/layers/test_convolution.py",
    "engine/ops/lrn.py": "engine/layers/test_normalization.py",
    "engine/ops/placing.py": "engine/layers/test_upsampling.py",
    "engine/ops/pooling.py": "engine/layers/test_pooling.py",
    "engine/ops/roi.py": "engine/layers/test_roi.py",
    "engine/ops/roi_warp.py": "engine/layers/test_mask_cascade.py",
    "engine/ops/span.py": "engine/layers/test_pooling.py",
    "engine/ops/window.py": "engine/layers/test_pooling.py",
    "engine/python/caffe/_caffe.py": "engine/python/caffe/test_net.py",
    "engine/python/caffe/embedded.py": "engine/devices/test_jax_setup.py",
    "engine/python/caffe/pycaffe.py": "engine/python/caffe/test_net.py",
    "engine/python/caffe/solvers.py": "engine/python/test_solvers.py",
    "engine/python/caffe/stepping.py": "engine/python/test_solvers.py",
    "engine/solver/benchmark.py": "engine/cli/test_cli.py",
    "engine/solver/state.py": "engine/solver/test_resume.py",
    "engine/tools/mirrors.py": "engine/tools/test_get_mnist.py",
    "engine/tools/upgrade_net_proto_binary.py": "engine/tools/test_upgrading.py",
    "engine/tools/upgrade_net_proto_text.py": "engine/tools/test_upgrading.py",
    "engine/tools/upgrade_solver_proto_text.py": "engine/tools/test_upgrading.py",
}
"""The modules that are tested with others, and where, below tests."""

NAMES_ONLY = {
    "hpcbrew/address.py",
    "hpcbrew/check/finding.py",
    "hpcbrew/errors.py",
    "hpcbrew/layout.py",
    "hpcbrew/setup/report.py",
    "hpcbrew/transports/base.py",
    "engine/data/databases.py",
    "engine/errors.py",
}
"""The modules that say what things are called, and do nothing."""


def modules() -> Iterator[str]:
    for package in ("hpcbrew", "engine"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.name.startswith("__") and not path.name.endswith("_pb2.py"):
                yield str(path.relative_to(ROOT))


def own(module: str) -> Path:
    path = Path("tests") / module
    return path.with_name(f"test_{path.name}")


@pytest.mark.parametrize("module", [*modules()])
def test_a_module_has_its_tests_and_they_are_where_one_looks(module: str) -> None:
    listed = module in ELSEWHERE or module in NAMES_ONLY
    if (ROOT / own(module)).exists():
        assert not listed, f"{module} has a test file of its own by now: take it off the lists of {__file__}"
    else:
        assert listed, f"{own(module)} is missing; where its tests are elsewhere, list it in {__file__}"


def test_no_module_and_no_test_that_is_listed_has_gone() -> None:
    listed = {*ELSEWHERE, *NAMES_ONLY, *(f"tests/{path}" for path in ELSEWHERE.values())}
    assert {path for path in listed if not (ROOT / path).exists()} == set()
