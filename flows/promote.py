"""The gate: a candidate serves only if it finds free places better than the version that serves now."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar, cast

from loguru import logger
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from parking.detection.detector import Detector
from parking.errors import ModelError, NoVersionError, RegistryError
from parking.learning.evaluate import SceneCounts, evaluate_model, scene_counts
from parking.learning.gate import Verdict, compare
from parking.learning.scene_cache import known_to, samples_of
from parking.learning.verdict_page import verdict_page
from parking.registry import Version
from parking.workspace import open_workspace

__all__ = [
    "NOT_PROMOTED",
    "Scored",
    "ended_without_promotion",
    "judge",
    "learners",
    "noted",
    "outcome",
    "promote",
    "publish",
    "score_version",
    "serving_version",
    "settled_verdict",
    "unknown",
    "unseen",
]

NOT_PROMOTED = "Completed (not promoted)"
"""Name of the state of a run that made or judged a version which does not serve."""

_Result = TypeVar("_Result")


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=timedelta(seconds=2).total_seconds())
def serving_version() -> Version | None:
    """The version behind `production`, if any; retried, for a registry may be restarting."""
    try:
        return open_workspace().registry.resolve("production")
    except NoVersionError:
        return None


@dataclass(frozen=True, slots=True)
class Scored:
    """A version on test scenes."""

    counts: tuple[SceneCounts, ...]
    known: frozenset[str] | None
    """Checksums of those that it has learnt from; None if that is not known."""


@task(cache_policy=NO_CACHE)
def score_version(number: int, dataset: str) -> Scored:
    """Run one version over the frozen test scenes of a snapshot."""
    space = open_workspace()
    path = space.registry.fetch(space.registry.resolve(str(number)), space.settings.state_dir / "models")
    try:
        detector = Detector.load(path, threads=space.settings.threads)
    except ModelError as error:
        raise ModelError(f"Version {number} cannot be scored. {error}") from error
    samples = samples_of(dataset, "test", detector.contract.gsd)
    _, predictions = evaluate_model(detector, samples)
    return Scored(tuple(scene_counts(predictions, detector.contract.threshold)), known_to(detector.contract, samples))


@flow
def promote(version: int, force: bool = False, by: str = "promote flow", reason: str = "") -> Verdict:
    """Compare a version with the serving one on the same frozen test scenes, and let it serve if it is better.

    Args:
        version: number of the candidate in the registry.
        force: promote whatever the comparison says; the verdict is kept beside the promotion all the same.
        by: who asks, for the record.
        reason: why, for the record; the gate's own reason is always kept.
    """
    registry = open_workspace().registry
    candidate = registry.resolve(str(version))
    serving, verdict = settled_verdict(candidate)
    serves = serving is not None and serving.number == candidate.number
    promoted = verdict.promote or (force and not serves)
    if promoted:
        why = "; ".join(part for part in (reason, verdict.reason, "forced" if not verdict.promote else "") if part)
        registry.promote(candidate.number, reason=why, by=by)
    registry.tag(candidate.number, {"gate": outcome(promoted), "gate_reason": verdict.reason})
    publish(candidate.number, verdict, promoted=promoted)
    return verdict if promoted or serves else ended_without_promotion(verdict, verdict.reason)


def outcome(promoted: bool) -> str:
    """The decision in words."""
    return "promoted" if promoted else "not promoted"


def publish(version: int, verdict: Verdict, *, promoted: bool) -> None:
    """Show the decision on the page of the run that it is made in, and in the log."""
    create_markdown_artifact(key="gate", markdown=verdict_page(version, verdict, promoted=promoted))
    (logger.info if promoted else logger.warning)("Version {}: {}. {}", version, outcome(promoted), verdict.reason)


def ended_without_promotion(result: _Result, why: str) -> _Result:
    """The result of a run that ended well and promoted nothing, under a state that a person can tell from success.

    Prefect takes the state for the run's end, and gives its caller the result in it.
    """
    return cast("_Result", Completed(name=NOT_PROMOTED, message=why, data=result))


def settled_verdict(candidate: Version) -> tuple[Version | None, Verdict]:
    """The verdict on the candidate beside the version that serves when it is reached.

    To score takes minutes, in which a person may promote another version, or roll one back: then all is judged anew.
    """
    serving = serving_version()
    while True:
        serves = serving is not None and serving.number == candidate.number
        verdict = Verdict.already_serving(candidate.number) if serves else judge(candidate, serving)
        now = serving_version()
        if (now and now.number) == (serving and serving.number):
            return serving, verdict
        serving = now


def judge(candidate: Version, serving: Version | None) -> Verdict:
    """Whether the candidate is better, on test scenes that neither has learnt from.

    A serving version that is broken is nothing to compare with.

    Raises:
        RegistryError: the candidate does not say which dataset it belongs to.
        ModelError: the candidate is broken: not even force may promote it.
    """
    dataset = candidate.tags.get("dataset_version")
    if not dataset:
        raise RegistryError(
            f"Version {candidate.number} cannot be scored, for it has no tag `dataset_version`: give it one in MLflow, "
            "or train a version with `parking train`."
        )
    ours = score_version(candidate.number, dataset)
    if ours.known is None:
        return Verdict.impossible(f"{unknown(candidate)}, so that its scores may flatter it.")
    try:
        theirs = score_version(serving.number, dataset) if serving else None
    except ModelError as error:
        return Verdict.impossible(str(error))
    known = ours.known | ((theirs.known if theirs else None) or frozenset())
    if ours.counts and all(scene.image in known for scene in ours.counts):
        return Verdict.impossible(f"{learners(candidate, serving)} has learnt from every test scene.".capitalize())
    verdict = compare(unseen(ours, known), unseen(theirs, known) if theirs else None)
    return noted(verdict, candidate, serving, theirs, sum(scene.image in known for scene in ours.counts))


def unseen(scored: Scored, known: frozenset[str]) -> list[SceneCounts]:
    """The scenes that count."""
    return [scene for scene in scored.counts if scene.image not in known]


def noted(verdict: Verdict, candidate: Version, serving: Version | None, theirs: Scored | None, out: int) -> Verdict:
    """The verdict with what is to be known of its fairness."""
    notes = []
    if out:
        notes.append(f"{out} test scenes do not count: {learners(candidate, serving)} has learnt from them.")
    if serving and theirs and theirs.known is None:
        notes.append(f"{unknown(serving)}: the comparison may be unfair to version {candidate.number}.")
    return replace(verdict, reason=" ".join([verdict.reason, *notes]))


def learners(candidate: Version, serving: Version | None) -> str:
    """Who has learnt from scenes that do not count, at the start of a sentence."""
    return f"version {candidate.number} or {serving.number}" if serving else f"version {candidate.number}"


def unknown(version: Version) -> str:
    """That a version does not say what it learnt from."""
    return f"Version {version.number} does not say which scenes it learnt from"
