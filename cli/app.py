"""The `parking` command: its groups put together, and errors turned into sentences."""

import sys
from typing import Annotated

import typer

from cli import benchmark, data, demo, feedback, model, occupancy, platform, predict, stopping, survey
from cli.console import console, show_error
from parking.errors import ParkingError
from parking.optional import not_installed

app = typer.Typer(
    name="parking",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel="See it")(demo.demo)
app.command(rich_help_panel="See it")(predict.predict)
app.command(rich_help_panel="See it")(occupancy.occupancy)
app.command(rich_help_panel="Run it")(platform.up)
app.command(rich_help_panel="Run it")(platform.serve)
app.command(rich_help_panel="Run it")(platform.flows)
app.command(rich_help_panel="Run it")(platform.monitor)
app.command(rich_help_panel="Teach it")(data.ingest)
app.command(rich_help_panel="Teach it")(model.tune)
app.command(rich_help_panel="Teach it")(model.train)
app.command(rich_help_panel="Teach it")(model.calibrate)
app.command(rich_help_panel="Teach it")(model.evaluate)
app.command(rich_help_panel="Teach it")(model.promote)
app.command(rich_help_panel="Teach it")(model.rollback)
app.command(rich_help_panel="Teach it")(model.retrain)
app.add_typer(survey.app, name="survey", rich_help_panel="See it")
app.add_typer(benchmark.app, name="benchmark", rich_help_panel="Teach it")
app.add_typer(feedback.app, name="feedback", rich_help_panel="Teach it")
app.add_typer(data.app, name="data", rich_help_panel="Teach it")


def print_version(asked: bool) -> None:
    """Print the version and end, where it was asked for."""
    if asked:
        from parking.version import code_version

        console.print(f"parking {code_version()}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Free parking places from satellite and aerial images. Start with: [bold]parking predict photo.jpg[/bold]."""


def main() -> None:
    """Run the command; what a person can mend ends in a sentence and exit status 1, a signal in 128 and its number."""
    stopping.install()
    try:
        app()
    except BaseException as error:
        # What fails after a signal fails because of it, and has nothing to say.
        if stopping.was_asked():
            stopping.end()
        told = sentence(error)
        if told is None:
            raise
        show_error(told)
        sys.exit(1)


def sentence(error: BaseException) -> str | None:
    """The message for an error of the user's; None for a bug, which ends in a traceback."""
    if isinstance(error, ParkingError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        missing = not_installed(f"`parking {' '.join(sys.argv[1:2])}`", error.name or "")
        return str(missing) if missing else None
    return None


if __name__ == "__main__":
    main()
