from __future__ import annotations

import pytest

from otel_measure.conventions.private import HIDDEN, error_class, is_private, shown_of_series, without_private


@pytest.mark.parametrize(
    ("said", "error_type"),
    [
        ("TimeoutError", "TimeoutError"),
        ("openai.RateLimitError", "openai.RateLimitError"),
        ("java.net.UnknownHostException", "java.net.UnknownHostException"),
        ("System.Net.Http.HttpRequestException", "System.Net.Http.HttpRequestException"),
        ("std::runtime_error", "std::runtime_error"),
        ("*errors.errorString", "_OTHER"),
        ("http.Error", "http.Error"),
        ("HttpClientErrorException$TooManyRequests", "HttpClientErrorException$TooManyRequests"),
        ("rate_limit", "rate_limit"),
        ("rate-limit", "rate-limit"),
        ("Überlauf", "Überlauf"),
        ("429", "429"),
        ("_OTHER", "_OTHER"),
        ("test_it.<locals>.Boom", "Boom"),
        ("<class 'openai.RateLimitError'>", "openai.RateLimitError"),
        ("RateLimitError: the prompt was 'my secret'", "RateLimitError"),
        ("openai.APIError('my secret')", "openai.APIError"),
        ("ValueError my secret", "ValueError"),
        ("Error code: 400 - {'error': 'my secret'}", "_OTHER"),
        ("my secret is long", "_OTHER"),
        ("secret: hunter2", "_OTHER"),
        ("sk-proj-12345", "_OTHER"),
        ("x" * 129, "_OTHER"),
        ("E" * 200 + "Error: x", "_OTHER"),
        ("two\nlines", "_OTHER"),
    ],
)
def test_an_error_type_is_a_class(said: str, error_type: str) -> None:
    """A name or a status stays; a message is cut to the class that it begins with, else it says nothing."""
    assert error_class(said) == error_type
    assert error_class(error_type) == error_type


@pytest.mark.parametrize(
    ("name", "private"),
    [
        ("exception.message", True),
        ("exception.stacktrace", True),
        ("process.command_args", True),
        ("process.command_line", True),
        ("gen_ai.prompt.0.content", True),
        ("gen_ai.input.messages", True),
        ("llm.input_messages.3.message.content", True),
        ("input.value", True),
        ("prompt", True),
        ("error", True),
        ("error.type", False),
        ("exception.type", False),
        ("prompt.id", False),
        ("gen_ai.request.model", False),
        ("process.command", False),
        ("process.executable.name", False),
        ("user.id", False),
        ("input.type", False),
    ],
)
def test_names_of_what_people_wrote(name: str, private: bool) -> None:
    """What stands under them is text that nobody asked us to keep; their neighbours are kept."""
    assert is_private(name) is private


def test_what_is_left_of_attributes() -> None:
    """At any depth, and error types are classes."""
    said = {"plan": "pro", "prompt": "secret", "exception.type": "ValueError: secret", "n": {"error": "secret", "k": 1}}
    assert without_private(said) == {"plan": "pro", "exception.type": "ValueError", "n": {"k": 1}}


def test_series_that_differ_in_what_is_hidden_stay_apart() -> None:
    """By a digest of that alone; a series that hides nothing has none, and text that is asked for is shown."""
    first, second = (shown_of_series({"a": "1", "gen_ai.prompt": said}) for said in ("one", "two"))
    assert first.pop(HIDDEN) != second.pop(HIDDEN)
    assert first == second == {"a": "1"}
    assert shown_of_series({"a": "1", "error.type": "Timeout"}) == {"a": "1", "error.type": "Timeout"}
    cut = shown_of_series({"error.type": "KeyError: 'x'"}, keeps_text=True)
    assert (cut.pop("error.type"), list(cut)) == ("KeyError", [HIDDEN])
    assert shown_of_series({"prompt": "x"}, keeps_text=True) == {"prompt": "x"}
