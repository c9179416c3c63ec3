"""What docs/deploy.md tells an operator to type is there to be typed."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.chart import ROOT, Manifest, helm, load, of_kind, pods, render

PAGES = ("docs/deploy.md", "helm/README.md")
TEXT = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)


def code(text: str = TEXT) -> Iterator[str]:
    """Every line of a block of code, and every span of it."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from (re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", text))


def values_at(path: str) -> Any:
    """The value under a dotted path of values.yaml; KeyError where there is none."""
    found: Any = load("helm/values.yaml")
    for key in path.split("."):
        found = found[key]
    return found


VALUES = sorted(
    {
        match
        for span in code()
        for match in re.findall(r"^([a-z]\w*(?:\.\w+)+)(?=$|:|=)", span)
        if match.split(".")[0] in load("helm/values.yaml")
    }
)
ADDRESSED = sorted({match for span in code() for match in re.findall(r"\b((?:deploy|svc)/free-parking[-\w]*)", span)})
HELM = sorted({span for span in code() if re.match(r"helm (install|lint)\b", span)})
OURS = sorted({span[span.index("parking ") :] for span in code() if re.search(r"(^|-- )parking [a-z]", span)})


@pytest.fixture(scope="module")
def release() -> list[Manifest]:
    """What `free-parking`, the release of the pages, consists of."""
    return render(("fullnameOverride=free-parking",))


@pytest.mark.parametrize("path", VALUES)
def test_a_value_that_is_named_exists(path: str) -> None:
    values_at(path)


@pytest.mark.parametrize("name", ADDRESSED)
def test_a_resource_that_is_named_is_rendered(name: str, release: list[Manifest]) -> None:
    kind = {"deploy": "Deployment", "svc": "Service"}[name.partition("/")[0]]
    assert name.partition("/")[2] in {one["metadata"]["name"] for one in of_kind(release, kind)}


def test_the_container_whose_log_is_read_is_there(release: list[Manifest]) -> None:
    (named,) = set(re.findall(r"logs deploy/free-parking-flows -c (\w+)", TEXT))
    assert named in {one["name"] for one in pods(release)["free-parking-flows"]["initContainers"]}


@pytest.mark.parametrize("command", HELM)
def test_helm_takes_the_command(command: str) -> None:
    words = shlex.split(command)[1:]
    done = helm(*("template" if word == "install" else word for word in words))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", OURS)
def test_our_own_command_takes_these_options(command: str) -> None:
    from typer.main import get_command

    from cli.app import app

    words = shlex.split(command)
    group: Any = get_command(app)
    found = group.commands[words[1]]
    options = {name for one in found.params for name in one.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file(page: str) -> None:
    folder = (ROOT / page).parent
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (folder / link).exists()] == []


def test_what_a_single_person_needs_is_the_sum_of_the_values() -> None:
    cpu, memory = re.findall(r"requests are\s+about ([\d.]+) CPU and ([\d.]+) GiB", TEXT)[0]
    requests = [
        container["resources"]["requests"]
        for deployment in of_kind(render((), ("values-sspcloud.yaml",)), "Deployment")
        for container in deployment["spec"]["template"]["spec"]["containers"]
    ]
    assert sum(cores(one["cpu"]) for one in requests) == pytest.approx(float(cpu))
    assert sum(gib(one["memory"]) for one in requests) == pytest.approx(float(memory))


def cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


def gib(quantity: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return float(number) / (1024 if unit == "Mi" else 1)
