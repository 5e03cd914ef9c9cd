"""What pydantic finds wrong is said in one manner everywhere."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from templ.errors import first_fault


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seed: int = Field(ge=0)
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _few(self):
        if len(self.names) > 3:
            raise ValueError("at most 3 names")
        return self


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"seed": -1}, "seed is -1: Input should be greater than or equal to 0"),
        ({"seed": 1, "names": ["a", 2]}, "names.1 is 2: Input should be a valid string"),
        ({}, "seed is missing"),
        ({"seed": 1, "sed": 2}, "unknown sed"),
        ({"seed": 1, "names": list("abcd")}, "at most 3 names"),
        (
            {"seed": "x" * 10_000},
            "seed is 'xxxxxxxxxxxx...xxxxxxxxxxxxx': Input should be a valid integer, un",
        ),
    ],
)
def test_first_fault(content, told):
    with pytest.raises(ValidationError) as found:
        Order.model_validate(content)
    assert first_fault(found.value).startswith(told)


class Basket(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: Order = Field(default_factory=lambda: Order(seed=1))
    count: int = 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"cout": 2}, "unknown cout; did you mean count?"),
        ({"colour": 2}, "unknown colour; expected order, count"),
        ({"order": {"seed": 1, "name": "a"}}, "unknown order.name; did you mean names?"),
    ],
)
def test_the_field_that_was_meant(content, told):
    with pytest.raises(ValidationError) as found:
        Basket.model_validate(content)
    assert first_fault(found.value, Basket) == told
