"""A promotion in one write: what is to serve is recorded first, then the aliases follow it.

`production` and `previous` are two aliases, and MLflow moves one at a time. Whoever is killed between the two would
leave a state that nobody decided. So the decision is one tag of the registered model, and whoever looks next finishes
what it says.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["PREVIOUS", "PRODUCTION", "Promotion", "record", "settle", "unfinished"]

Alias = Literal["production", "previous"]
PRODUCTION: Alias = "production"
PREVIOUS: Alias = "previous"

RECORD = "parking.promotion"
"""Tag of the registered model that holds the last decision."""

SETTLED = "parking.promotion.settled"
"""Tag that names the decision whose aliases were moved; from then on they may be moved by hand."""

_LONGEST_REASON = 3000
"""Characters; MLflow refuses a tag of more than 5000."""


class Promotion(BaseModel):
    """What was decided: which version serves from now on."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    production: int
    """The version to serve."""

    previous: int | None
    """The version that served before, to roll back to."""

    at: str
    by: str
    reason: str

    @classmethod
    def decide(cls, production: int, previous: int | None, *, by: str, reason: str) -> "Promotion":
        """A decision of this moment."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            id=uuid4().hex[:12], production=production, previous=previous, at=now, by=by,
            reason=reason[:_LONGEST_REASON],
        )  # fmt: skip

    def tags(self) -> dict[str, str]:
        """What the promoted version is tagged with."""
        return {
            "promoted_at": self.at,
            "promoted_by": self.by,
            "promoted_from": "none" if self.previous is None else str(self.previous),
            "promotion_reason": self.reason,
        }


def unfinished(tags: Mapping[str, str]) -> Promotion | None:
    """The decision whose aliases were not all moved yet.

    Args:
        tags: of the registered model.
    """
    found = _recorded(tags)
    return None if found is None or tags.get(SETTLED) == found.id else found


def record(client: "MlflowClient", model: str, promotion: Promotion) -> None:
    """Write a decision down: from here on it holds, whatever happens to who made it."""
    client.set_registered_model_tag(model, RECORD, promotion.model_dump_json())


def settle(client: "MlflowClient", model: str) -> dict[str, int]:
    """Let the aliases follow the last decision, and return them.

    It is read again after each move: of two processes that move at once, both end with the decision that was
    recorded last.

    Args:
        client: of the registry.
        model: name of the registered model, which exists.
    """
    moved = ""
    while True:
        found = client.get_registered_model(model)
        aliases = {alias: int(number) for alias, number in found.aliases.items()}
        decision = _recorded(found.tags) if moved else unfinished(found.tags)
        if decision is None or decision.id == moved:
            return aliases
        if moved or aliases.get(PRODUCTION) in {decision.production, decision.previous, None}:
            _move(client, model, decision, aliases)
        else:
            logger.warning("The alias of {} was moved by hand after promotion {}: it stays.", model, decision.id)
            client.set_registered_model_tag(model, SETTLED, decision.id)
        moved = decision.id


def _recorded(tags: Mapping[str, str]) -> Promotion | None:
    try:
        return Promotion.model_validate_json(tags[RECORD])
    except (KeyError, ValidationError):
        return None


def _move(client: "MlflowClient", model: str, decision: Promotion, aliases: Mapping[str, int]) -> None:
    """The version's tags first and `production` last: who sees the alias sees its reason, too."""
    from mlflow.exceptions import MlflowException

    try:
        for key, value in decision.tags().items():
            client.set_model_version_tag(model, str(decision.production), key, value)
        if decision.previous is not None:
            client.set_registered_model_alias(model, PREVIOUS, str(decision.previous))
        elif aliases.get(PREVIOUS) == decision.production:
            client.delete_registered_model_alias(model, PREVIOUS)
        client.set_registered_model_alias(model, PRODUCTION, str(decision.production))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        logger.warning("Promotion {} of {} names a version that was deleted: {}", decision.id, model, error.message)
    client.set_registered_model_tag(model, SETTLED, decision.id)
