"""The one error that a user can mend."""


class UserError(ValueError):
    """What the user gave breaks a rule: the message says the rule, the value found and the remedy.

    The command line prints it as one line on stderr and ends with status 2.
    """
