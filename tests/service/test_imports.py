"""The service image holds no training code; importing it must not look for any."""

import subprocess
import sys

HEAVY = ("torch", "optuna", "evidently", "prefect", "pandas", "albumentations", "onnx", "matplotlib", "sklearn")


def test_importing_the_service_pulls_in_no_training_code() -> None:
    code = f"import sys, service.app; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.split() == []
