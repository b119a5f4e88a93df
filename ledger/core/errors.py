"""The error tree. The domain speaks codes; only `api/errors.py` knows HTTP.

    FuqiError
      InputError          the request is malformed                        not retryable
        LimitError        it is larger than a published limit             not retryable
      ForbiddenError      known caller, not allowed
      NotFoundError       absent, or invisible to this caller
      ConflictError       well-formed, but the present state forbids it
        ExistsWithDifferentFieldError
      VerificationError   evidence offered to change state is wrong
      UnavailableError    chain, TSA, store or solver did not answer      retryable

Codes are dotted, stable and never reused; `docs/reference/errors.md` lists every one.
"""

from __future__ import annotations

from typing import ClassVar


class FuqiError(Exception):
    """Base of every error that fuqi raises on purpose.

    Args:
        message: one English sentence that says what is wrong and, where it helps, what to do.
        code: dotted stable code; the class's own `code` where it is left out.
        context: facts for the caller (ids, limits, field names). Never personal data or secrets.
    """

    code: ClassVar[str] = "fuqi.error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or type(self).code
        self.context = context

    def __str__(self) -> str:
        return f"{self.error_code}: {self.message}"


class InputError(FuqiError):
    """The request itself is malformed; sending it again will not help."""

    code = "input.invalid"


class LimitError(InputError):
    """The input is larger than a published limit."""

    code = "input.limit"


class ForbiddenError(FuqiError):
    """The caller is known and may not do this."""

    code = "auth.forbidden"


class NotFoundError(FuqiError):
    """Absent, or invisible to this caller: the two are not told apart on purpose."""

    code = "not_found"


class ConflictError(FuqiError):
    """Well-formed, but the present state forbids it."""

    code = "state.conflict"


class ExistsWithDifferentFieldError(ConflictError):
    """The same id was sent before with another body; `context['field']` names the first difference."""

    code = "state.exists_with_different_field"


class VerificationError(FuqiError):
    """Evidence offered in order to change state does not verify."""

    code = "verification.failed"


class UnavailableError(FuqiError):
    """Something outside this process did not answer; trying again later is safe."""

    code = "unavailable"
    retryable = True
