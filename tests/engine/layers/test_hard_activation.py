import numpy as np
from support.layer_cases import Case, Cases


class TestCases(Cases):
    cases = (
        Case(
            "hard swish",
            'type: "HardSwish"',
            {"x": np.array([-4.0, -2, -0.5, 0.5, 2, 4])},
            lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
        ),
    )
