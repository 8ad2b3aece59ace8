"""What can go wrong in the application, told apart by who can act; `api` gives HTTP statuses."""

from __future__ import annotations


class ApplicationError(Exception):
    """Any failure whose message is fit for the person who asked."""


class SettingsError(ApplicationError):
    """The environment does not say, or says badly, how to run."""


class NotAuthenticatedError(ApplicationError):
    """Nobody is logged in: wrong password, or a token that is unknown, expired or revoked."""


class ForbiddenError(ApplicationError):
    """The caller is known and may not do this."""


class NotFoundError(ApplicationError):
    """The named thing does not exist, or the caller may not know that it does."""


class ConflictError(ApplicationError):
    """The thing is no longer in a state that allows this."""


class DatabaseAwayError(ApplicationError):
    """The database did not do the work; whether it was committed is unknown to the caller."""


class MailServerAwayError(ApplicationError):
    """The mail server did not take a message and may later."""
