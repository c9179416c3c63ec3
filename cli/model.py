"""Commands about models: tune, train, evaluate, promote, roll back, retrain."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options, session
from cli.console import console, progress_shown, table
from cli.files import check_writable, write_file
from cli.flow_command import GO_ON, flow_command
from cli.stopping import stops_soon
from parking.errors import DatasetError, TrainingError

if TYPE_CHECKING:
    from parking.learning.evaluate import Scores


def tune(
    dataset: options.Dataset = "latest",
    trials: options.SomeTrials = 10,
    folds: options.Folds = 4,
    minutes: options.Minutes = None,
    recipe: options.RecipeName = "default",
    finals: Annotated[
        int, typer.Option(min=0, max=20, help="How many of the best trials to run again with all the recipe's steps.")
    ] = 0,
    out: Annotated[Path, typer.Option(help="Where to write the best settings.")] = Path("recipe.json"),
    report: Annotated[Path | None, typer.Option(help="Folder for search.md and its picture: what was tried.")] = None,
    state: options.State = None,
) -> None:
    """Search for the best settings by cross-validation; a search that was stopped continues.

    Example: [bold]parking tune --trials 20 --minutes 60[/bold]
    """
    for file in (out, *([report / "search.md"] if report else [])):
        check_writable(file)
    with flow_command(state, f"Finished trials are kept, and unfinished ones up to their last checkpoint. {GO_ON}"):
        from flows.tune import searched
        from flows.tune import tune as flow

        best = flow(dataset, trials, folds, minutes, recipe, finals)
        write_file(out, f"{best.model_dump_json(indent=2)}\n".encode())
        if report is not None:
            for name, content in searched(dataset, recipe, folds).items():
                write_file(report / name, content)
    console.print(f"Best settings: {out}. Train with them: parking train --recipe {out}", markup=False, soft_wrap=True)


def train(
    dataset: options.Dataset = "latest",
    recipe: options.RecipeName = "default",
    folds: options.Folds = 4,
    minutes: options.Minutes = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="With --out: folder or s3://bucket/prefix of annotated images; may be given several times.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a model file trained on every scene of --data; nothing is registered.")
    ] = None,
    work: Annotated[Path, typer.Option(help="With --out: folder for checkpoints; a stopped run goes on.")] = Path(
        "parking-training"
    ),
    state: options.State = None,
) -> None:
    """Train a model, score it, and register it as a new version.

    Example: [bold]parking train --recipe recipe.json[/bold], or
    [bold]parking train --data annotated/ --recipe shipped --folds 5 --out model.onnx[/bold]
    """
    if out is not None or data:
        if minutes is not None:
            raise TrainingError("--minutes does not go with --out: a file is trained for the steps of its recipe.")
        train_to_file(data or (), recipe, folds, work, out, state)
        return
    with flow_command(state, f"What was trained is kept up to the last checkpoint. {GO_ON}"):
        from flows.train import train as flow

        trained = flow(dataset, recipe, folds, minutes)
    show_scores(trained.test_scores, f"Version {trained.version} on {trained.test_scores.scenes} test scenes")
    console.print(f"Registered. Let it serve: parking promote {trained.version}")


def train_to_file(
    data: Sequence[str], recipe: str, folds: int, work: Path, out: Path | None, state: Path | None
) -> None:
    """Train without a registry, write the model and its reference, and print the scores of each fold.

    Raises:
        TrainingError: only one of data and out is given.
    """
    if out is None or not data:
        raise TrainingError("--data and --out go together: which images to train on, and where to write the model.")
    from parking.registry import reference_beside

    reference = reference_beside(out)
    for file in (out, reference):
        check_writable(file)
    session.start(state)
    from monitoring.reference import reference_parquet
    from parking.learning.recipe import load_recipe
    from parking.learning.train_file import train_file
    from parking.progress import report

    with stops_soon(f"What was trained is kept in {work} up to the last checkpoint. {GO_ON}"), progress_shown():
        release = train_file(data, load_recipe(recipe), folds, work, out, report)
    write_file(reference, reference_parquet(release.predictions, release.contract))
    for number, scores in enumerate(release.fold_scores, start=1):
        show_scores(scores, f"Fold {number} of {folds}, {scores.scenes} scenes")
    told = f"Wrote {out}, trained on {len(release.predictions)} scenes, and the reference of its drift, {reference}."
    console.print(told, markup=False, soft_wrap=True)


def calibrate(
    data: options.Sources,
    out: Annotated[Path, typer.Option(help="Model file to write.")],
    model: Annotated[
        str, typer.Option("--model", help="A model file, version number or alias. (default: the shipped model)")
    ] = "",
    labels: options.Labels = "",
    group_by: options.GroupBy = "",
    work: Annotated[Path, typer.Option(help="Folder that keeps the images.")] = Path("parking-calibration"),
    state: options.State = None,
) -> None:
    """Fit a model's thresholds, confidences and count interval to your own annotated images, without training.

    The network stays as it is. The shipped model's own were chosen on 83 scenes.

    Example: [bold]parking calibrate --data annotated/ --out my-city.onnx[/bold]
    """
    from parking.registry import reference_beside

    reference = reference_beside(out)
    for file in (out, reference):
        check_writable(file)
    settings = session.start(state)
    from cli.benchmark import show_holdout
    from monitoring.reference import reference_parquet
    from parking.detection.detector import Detector
    from parking.learning.calibrate import calibrate_file
    from parking.learning.recipe import Recipe
    from parking.learning.train_file import read_scenes
    from parking.lock import alone_in
    from parking.model import find_model
    from parking.progress import report
    from parking.shipped import shipped_model

    file, _ = find_model(str(model or shipped_model()), settings)
    detector = Detector.load(file, threads=settings.threads)
    with stops_soon(f"The images are kept in {work}. {GO_ON}"), alone_in(work), progress_shown():
        read_at = Recipe(gsd=detector.contract.gsd)
        _, samples = read_scenes(data or (), read_at, work, report, labels=labels, group_by=group_by)
        made = calibrate_file(file, detector, samples, out, report)
    write_file(reference, reference_parquet(made.holdout.predictions, made.contract))
    show_holdout(made.holdout)
    told = f"Wrote {out}, calibrated on {len(made.holdout.predictions)} scenes. Use it: parking predict --model {out}"
    console.print(told, markup=False, soft_wrap=True)


def evaluate(
    model: options.Model = "production", dataset: options.Dataset = "latest", state: options.State = None
) -> None:
    """Score a model on the frozen test scenes of a dataset.

    Example: [bold]parking evaluate --model 3[/bold]
    """
    settings = session.start(state)
    from parking.learning.evaluate import evaluate_model
    from parking.learning.gate import too_few_to_judge
    from parking.learning.scene_cache import find_snapshot, known_to, samples_of
    from parking.model import load_model

    detector = load_model(model, settings).detector
    snapshot = find_snapshot(dataset)
    with progress_shown():
        samples = samples_of(snapshot.version, "test", detector.contract.gsd)
        known = known_to(detector.contract, samples)
        fair = [sample for sample in samples if sample.scene.sha256 not in (known or ())]
        if not fair:
            raise DatasetError(nothing_to_judge_by(model, snapshot.version, len(samples)))
        scores, _ = evaluate_model(detector, fair)
    show_scores(scores, f"Model {model} on {scores.scenes} test scenes of snapshot {snapshot.version}")
    for note in flattery(known, len(samples) - len(fair)):
        console.print(note, soft_wrap=True)
    if too_few := too_few_to_judge([len(sample.rings) for sample in fair]):
        console.print(too_few, soft_wrap=True)


def nothing_to_judge_by(model: str, snapshot: str, scenes: int) -> str:
    """Why a model gets no scores."""
    if not scenes:
        return f"The snapshot {snapshot} has no test scene: ingest more images, and a fifth of them becomes one."
    return (
        f"Model {model} has learnt from all {scenes} test scenes of snapshot {snapshot}: on them its scores would say "
        "nothing. Ingest images that it has not seen."
    )


def flattery(known: frozenset[str] | None, left_out: int) -> list[str]:
    """What is to be known of the fairness of scores."""
    if known is None:
        return ["The model does not say which scenes it learnt from: if these are among them, the scores flatter it."]
    return [f"{left_out} more test scenes do not count: it has learnt from them."] if left_out else []


def show_scores(scores: "Scores", title: str) -> None:
    """Print scores, one a row, each with what it means; not those that these scenes cannot tell."""
    # A title of the table's own would be folded to the width of its numbers.
    console.print(title, markup=False, soft_wrap=True, style="bold")
    listed = table("score", "value", "meaning")
    listed.columns[2].justify = "left"
    for name, value in scores.model_dump(exclude={"scenes"}, exclude_none=True).items():
        meaning = type(scores).model_fields[name].description or ""
        listed.add_row(name, f"{value:+.0%}" if name == "count_bias" else f"{value:.3f}", meaning)
    console.print(listed)


def promote(
    version: Annotated[int, typer.Argument(min=1, help="Number of the version.")],
    force: Annotated[bool, typer.Option("--force", help="Promote whatever the comparison says.")] = False,
    by: options.By = "command line",
    reason: options.Reason = "",
    state: options.State = None,
) -> None:
    """Let a version serve, if it beats the serving one on the same frozen test scenes.

    Example: [bold]parking promote 4[/bold]
    """
    with flow_command(state, "Either the old or the new version serves. Run the same command again to see which."):
        from flows.promote import promote as flow

        verdict = flow(version, force, by, reason)
    if verdict == verdict.already_serving(version):
        console.print(verdict.reason)
        return
    outcome = "serves" if verdict.promote else "serves, by force" if force else "does not serve"
    console.print(f"Version {version} {outcome}: {verdict.reason}", soft_wrap=True)
    if not (verdict.promote or force):
        raise typer.Exit(1)


def rollback(
    by: options.By = "command line",
    reason: options.Reason = "rolled back by hand",
    state: options.State = None,
) -> None:
    """Let the previous version serve again.

    Example: [bold]parking rollback --reason "misses kerbside places"[/bold]
    """
    session.start(state)
    from parking.workspace import open_workspace

    version = open_workspace().registry.rollback(reason=reason, by=by)
    console.print(f"Version [bold]{version.number}[/bold] serves again, as the registry says.")


def retrain(
    data: options.Sources = None,
    labels: options.Labels = "",
    group_by: options.GroupBy = "",
    trials: options.Trials = 4,
    folds: options.Folds = 4,
    minutes: options.Minutes = None,
    promote: Annotated[bool, typer.Option(help="Let the new version serve, if it passes the gate.")] = True,
    recipe: options.RecipeName = "default",
    state: options.State = None,
) -> None:
    """Ingest, tune, train and promote in one go.

    Example: [bold]parking retrain --data s3://my-bucket/annotated --minutes 90[/bold]
    """
    with flow_command(state, f"Snapshot, finished trials and checkpoints are kept. {GO_ON}"):
        from flows.retrain import retrain as flow

        done = flow(";".join(data or ()), trials, folds, minutes, promote, recipe, labels=labels, group_by=group_by)
    console.print(f"Dataset {done.dataset}, version [bold]{done.version}[/bold].")
    if done.verdict is not None:
        console.print(f"{'Promoted' if done.verdict.promote else 'Not promoted'}: {done.verdict.reason}")
