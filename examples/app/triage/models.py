"""What goes in and comes out."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

__all__ = ["Ticket", "Verdict"]


class Ticket(BaseModel):
    """One message of a customer.

    Attributes:
        id: Number of the ticket.
        text: What the customer wrote.
        sent: When.
        screenshots: PNG files.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    id: int
    text: str
    sent: datetime
    screenshots: list[bytes] = []


class Verdict(BaseModel):
    """Where a ticket belongs.

    Attributes:
        ticket: Its number.
        topic: The topic with most of its words, ``"other"`` without any.
        urgency: 0 to 1.
        words: Stems that were decisive, in alphabetical order.
    """

    ticket: int
    topic: str
    urgency: float
    words: list[str]
