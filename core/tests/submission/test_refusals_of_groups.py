"""What stands above every policy holds for groups of exceptions as well."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from taskiq_flow.errors import AbortPipeline, RetryException
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retries.refusals import find_refusal

if sys.version_info < (3, 11):
    ExceptionGroup = pytest.importorskip("exceptiongroup").ExceptionGroup


@pytest.mark.parametrize(
    ("errors", "types", "expected"),
    [
        ([ValueError(), AbortPipeline("enough")], None, "the task has aborted its pipeline"),
        ([ConnectionError()], (OSError,), ""),
        ([ConnectionError(), RetryException()], (OSError,), ""),
        ([ConnectionError(), ValueError()], (OSError,), "ValueError is none of types_of_exceptions"),
        ([ValueError()], (Exception,), ""),
    ],
)
def test_each_exception_counts(errors: list[Any], types: Any, expected: str) -> None:
    group = ExceptionGroup("several", [*errors[:1], ExceptionGroup("inner", errors)])
    failure = Failure(kind=FailureKind.EXCEPTION, message="")
    assert find_refusal(failure, group, says_no=False, types=types) == expected
