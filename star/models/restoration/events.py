"""A relay of events that adds the total and keeps the notes."""

from star.models.contracts import Events


class EventRelay:
    """Passes events on to a listener, if there is one.

    Args:
        events: the listener.
        total: frames of the clip, for all events; None if unknown.

    Attributes:
        offset: frames of the clip before those that are reported.
        notes: all different notes so far.
    """

    def __init__(
        self, events: Events | None = None, total: int | None = None
    ) -> None:
        self.events = events
        self.total, self.offset = total, 0
        self.notes: list[str] = []

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Pass on how far a stage is, with the total where it is known."""
        if self.events is not None:
            self.events.progress(
                stage, done + self.offset, self.total or total
            )

    def note(self, text: str) -> None:
        """Keep a note and pass it on, unless it was there before."""
        if text in self.notes:
            return
        self.notes.append(text)
        if self.events is not None:
            self.events.note(text)
