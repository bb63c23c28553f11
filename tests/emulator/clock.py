"""The emulator's time: it runs by itself, and a test can move it on."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Wall time, or an instant that stands still, plus whatever a test has ticked off."""

    def __init__(self, frozen_at: datetime | None = None) -> None:
        self._frozen_at = frozen_at
        self._moved = timedelta()

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return (self._frozen_at or datetime.now(UTC)) + self._moved

    def tick(self, seconds: float) -> None:
        """Move on by so many seconds."""
        self._moved += timedelta(seconds=seconds)
