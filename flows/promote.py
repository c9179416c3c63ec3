"""The gate: a candidate serves only if it finds free places better than the version that serves now."""

from datetime import timedelta

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.samples import find_snapshot, learnt_from, samples_of
from parking.detection.detector import Detector
from parking.errors import ModelError, NoVersionError, RegistryError
from parking.learning.evaluate import SceneCounts, evaluate_model, scene_counts
from parking.learning.gate import Verdict, compare
from parking.registry import Version
from parking.workspace import open_workspace


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=timedelta(seconds=2).total_seconds())
def serving_version() -> Version | None:
    """The version behind `production`, if any; retried, for a registry may be restarting."""
    try:
        return open_workspace().registry.resolve("production")
    except NoVersionError:
        return None


@task(cache_policy=NO_CACHE)
def score_version(number: int, dataset: str) -> list[SceneCounts]:
    """Run one version over the frozen test scenes of a snapshot."""
    space = open_workspace()
    path = space.registry.fetch(space.registry.resolve(str(number)), space.settings.state_dir / "models")
    try:
        detector = Detector.load(path, threads=space.settings.threads)
    except ModelError as error:
        raise ModelError(f"Version {number} cannot be scored. {error}") from error
    _, predictions = evaluate_model(detector, samples_of(dataset, "test", detector.contract.gsd))
    return scene_counts(predictions, detector.contract.threshold)


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
    outcome = "promoted" if promoted else "not promoted"
    create_markdown_artifact(key="gate", markdown=f"**Version {version}: {outcome}.** {verdict.reason}")
    return verdict


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
    """Whether the candidate is better; a serving version that is broken is nothing to compare with.

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
    if serving is None:
        return compare(ours, None)
    known = learnt_from(serving.tags.get("dataset_version", ""))
    test = find_snapshot(dataset).test
    fair = {scene.sha256 for scene in test if scene.sha256 not in known}
    if test and not fair:
        return no_comparison(f"Version {serving.number} has learnt from every test scene.")
    try:
        theirs = score_version(serving.number, dataset)
    except ModelError as error:
        return no_comparison(str(error))
    return compare([scene for scene in ours if scene.image in fair], [scene for scene in theirs if scene.image in fair])


def no_comparison(why: str) -> Verdict:
    """The verdict where a person has to decide."""
    return Verdict(False, f"There is no comparison: {why} Promote by force, or not at all.", 0.0, 0.0, 0.0)
