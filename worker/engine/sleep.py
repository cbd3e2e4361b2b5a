"""Whether the engine sleeps: what was asked for, what is so, and who waits for it."""

from concurrent.futures import Future


class Sleep:
    """Asleep, the engine holds no memory of its accelerator and answers nothing. The loop's lock guards it.

    Attributes:
        wanted: whether the engine shall sleep; if so, it takes nothing new from now on.
        aborts: whether answers in the making are broken off, rather than waited for.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.aborts = False
        self._is_so = False
        self._askers: list[Future[None]] = []

    @property
    def turning(self) -> bool:
        """Whether the engine has yet to fall asleep or wake up, or to tell those who asked."""
        return self.wanted != self._is_so or bool(self._askers)

    def want(self, *, asleep: bool, abort: bool = False) -> "Future[None]":
        """Ask for sleep or for waking; the future is done when it is so. The last one to ask is heard."""
        if asleep != self.wanted:
            opposite = "put to sleep" if asleep else "woken"
            self.give_up(RuntimeError(f"The engine was {opposite} before that was done."))
            self.aborts = False
        self.wanted = asleep
        self.aborts = self.aborts or abort
        future: Future[None] = Future()
        self._askers.append(future)
        return future

    def turned(self, *, asleep: bool) -> None:
        """The engine has fallen asleep or woken up."""
        self._is_so = asleep
        if asleep == self.wanted:
            askers, self._askers = self._askers, []
            for future in askers:
                if future.set_running_or_notify_cancel():
                    future.set_result(None)

    def failed(self, error: Exception) -> None:
        """The engine could not; it stays as it was."""
        self.wanted = self._is_so
        self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Let nobody wait any more."""
        askers, self._askers = self._askers, []
        for future in askers:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
