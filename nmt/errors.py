"""The one error that a user can mend, and the end that a signal asks for."""


class UserError(ValueError):
    """What the user gave breaks a rule: the message says the rule, the value found and the remedy.

    The command line prints it as one line on stderr and ends with status 2.
    """


class Interrupted(KeyboardInterrupt):
    """A signal asked to end; what was done so far is kept, and the same command continues it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
