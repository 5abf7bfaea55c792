"""Exceptions whose message is one sentence for the person who caused them.

    Error                       code  status
      Invalid     (ValueError)     2     422   something asked for or read is wrong
        NotFound                   2     404   there is no such file, run, class or setting
        Conflict                   2     409   it is there already, or something else uses it
        Unable                     2     422   this model or machine cannot do that
        TooLarge                   2     413   more than is read or written
      Diverged                     1     500   gradients or losses stopped being finite
      Stopped                    130     499   ended on request or by the clock; what is kept is whole

Any other exception is a defect of this library, but for OSError: the system's own words name the path.
"""

from typing import ClassVar


class Error(Exception):
    """Base of all that is raised on purpose."""

    code: ClassVar[int] = 1
    """Exit code of the command line."""
    status: ClassVar[int] = 500
    """Status of an HTTP response."""


class Invalid(Error, ValueError):
    """Something asked for or read is wrong: what was found, what was expected, what to do."""

    code, status = 2, 422


class NotFound(Invalid):
    """There is no such thing."""

    status = 404


class Conflict(Invalid):
    """It is there already, holds something else, or is in use."""

    status = 409


class Unable(Invalid):
    """A model, format or machine that cannot do what was asked."""


class TooLarge(Invalid):
    """More than is read or written."""

    status = 413


class Diverged(Error):
    """Gradients stopped being finite."""


class Stopped(Error):
    """Ended on request or by the clock; the message says what is kept and what goes on."""

    code, status = 130, 499


class OutOfTime(Stopped):
    """The time that a run was given is over."""
