"""What `scripts/bench` times: nets of their published size; and how it asks another caffe."""

import argparse
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"

MULTIPLICATIONS = {
    "lenet": 2_293_000,
    "cifar10_full": 12_298_240,
    "caffenet": 724_406_816,
    "googlenet": 1_582_671_872,
    "resnet50": 3_857_973_248,
    "mobilenet": 568_740_352,
}
"""Of one picture's pass: 3.8e9 and 569e6 by He et al. 2015 and Howard et al. 2017, 1.5e9 by Szegedy et al. 2014."""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("bench")


@pytest.mark.parametrize("net", MULTIPLICATIONS)
def test_nets_have_their_published_size(net: str, bench: ModuleType, tmp_path: Path):
    case = bench.laid(tmp_path, net, "infer", 1)
    assert case.flops == 2 * MULTIPLICATIONS[net]
    plan = json.loads(case.plan.read_text())
    assert [layer["name"] for layer in plan["layers"]] == [layer["name"] for layer in case.layers]


def test_a_training_step_is_three_passes_less_the_gradient_of_the_pictures(bench: ModuleType, tmp_path: Path):
    case = bench.laid(tmp_path, "lenet", "train", 2)
    assert case.flops == 2 * 2 * (3 * MULTIPLICATIONS["lenet"] - 24 * 24 * 20 * 25)


@pytest.mark.parametrize(("task", "milliseconds"), [("train", 12.5), ("infer", 4.25)])
def test_another_caffe_is_asked_by_its_own_benchmark(task, milliseconds, bench: ModuleType, tmp_path: Path):
    binary = tmp_path / "caffe"
    binary.write_text("""#!/bin/sh
echo "I1126 caffe.cpp:412] Average Forward pass: 4.25 ms." >&2
echo "I1126 caffe.cpp:416] Average Forward-Backward: 12.5 ms." >&2
""")
    binary.chmod(0o755)
    args = argparse.Namespace(gpu="", seconds=0.1)
    assert bench.OtherCaffe(str(binary), tmp_path / "net.prototxt", task, args).round() == milliseconds


def test_another_caffe_that_fails_is_quoted(bench: ModuleType, tmp_path: Path):
    binary = tmp_path / "caffe"
    binary.write_text("#!/bin/sh\necho 'F1126 Unknown layer type' >&2; exit 134\n")
    binary.chmod(0o755)
    args = argparse.Namespace(gpu="", seconds=0.1)
    with pytest.raises(SystemExit, match=r"(?s)ended with status 134:.*Unknown layer type"):
        bench.OtherCaffe(str(binary), tmp_path / "net.prototxt", "train", args).round()


PROGRAM = """HloModule step

%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}

%cut (p: f32[4,8]) -> f32[1,8] {
  %p = f32[4,8]{1,0} parameter(0)
  %c = bf16[4,8]{1,0} convert(%p)
  %s = bf16[1,8]{1,0} slice(%c), slice={[0:1], [0:8]}
  ROOT %r = f32[1,8]{1,0} convert(%s)
}

ENTRY %main (x: f32[4,8], w: bf16[8,2]) -> (f32[4,2], f32[8,4]) {
  %x = f32[4,8]{1,0} parameter(0), metadata={op_name="x"}
  %w = bf16[8,2]{1,0} parameter(1)
  %gemm = (f32[4,2]{1,0}, s8[16]{0}) custom-call(%x, %w), custom_call_target="gemm", metadata={op_name="ip/dot"}
  %y = f32[4,2]{1,0} get-tuple-element(%gemm), index=0
  %wrapped_transpose = f32[8,4]{1,0} fusion(%x), kind=kInput, calls=%add, metadata={op_name="ip/transpose"}
  %first = f32[1,8]{1,0} fusion(%x), kind=kInput, calls=%cut
  ROOT %all = (f32[4,2]{1,0}, f32[8,4]{1,0}) tuple(%y, %wrapped_transpose)
}
"""


def test_a_program_is_told_by_what_each_kernel_moves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    program = importlib.import_module("bench_program")
    found = [(k.name, k.kind, k.read, k.written, k.operation) for k in program.kernels(PROGRAM)]
    assert found == [
        ("gemm", "gemm", 4 * 32 + 2 * 16, 4 * 8 + 16, "ip/dot"),
        ("wrapped_transpose", "layout", 4 * 32, 4 * 32, "ip/transpose"),
        ("first", "fusion", 2 * 8, 4 * 8, ""),
    ]
