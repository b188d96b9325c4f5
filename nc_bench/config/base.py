"""What all parts of a configuration are."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """What all parts of a configuration share: frozen, no unknown keys, finite numbers only.

    What a setting means to the rest of the code (whether trials that differ in it can be stacked, the range of the
    features, ..) is a property or a class variable of its section, so that no other place asks for its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    per_trial: ClassVar[frozenset[str]] = frozenset()
    """Fields in which stacked trials may differ; they agree in all others."""

    not_in_hash: ClassVar[frozenset[str]] = frozenset()
    """Fields that a run's numbers do not depend on; they never enter `config_hash`."""
