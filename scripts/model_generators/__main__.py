"""`python -m model_generators`: writes the prototxts of configs/models."""

import sys
from pathlib import Path

from model_generators import MODELS
from model_generators.model import files

ROOT = Path(__file__).parents[2] / "configs" / "models"


def main() -> int:
    for folder, model in MODELS.items():
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files(model).items():
            (ROOT / folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
