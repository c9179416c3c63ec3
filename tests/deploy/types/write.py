"""Writes every custom resource as a TypeScript constant, for the compiler to hold against its type.

Run by `tests/deploy/run types`.
"""

import json
import sys
from pathlib import Path

from tests.deploy.chart import Manifest, load, of_kind, render

PACKAGES = {
    "Application": "@kubernetes-models/argo-cd/argoproj.io/v1alpha1",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    "PrometheusRule": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
}


def constant(number: int, manifest: Manifest) -> str:
    return f"export const resource{number}: I{manifest['kind']} = {json.dumps(manifest, indent=2)};\n"


def main(folder: Path) -> None:
    resources = [load("argocd-app.yaml"), load("docs/argocd-production.yaml")]
    resources += of_kind(render(), "ServiceMonitor", "PrometheusRule")
    imports = [f'import type {{ I{kind} }} from "{package}";\n' for kind, package in PACKAGES.items()]
    constants = [constant(number, manifest) for number, manifest in enumerate(resources)]
    (folder / "resources.ts").write_text("".join(imports + constants), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
