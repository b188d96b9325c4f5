"""What all parts of a configuration are."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """What all parts of a configuration share: frozen, no unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
