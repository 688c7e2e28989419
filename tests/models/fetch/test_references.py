"""References: what a person writes, and the URLs that it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import TrustError, UsageError
from undercast.models.fetch.references import below, https_of, parse_reference, repo_of_hub


@pytest.fixture(autouse=True)
def usual_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("https://a.example/m/x.json", ["https://a.example/m/x.json"]),
        ("https://a.example/m/x.json?v=1", ["https://a.example/m/x.json?v=1"]),
        ("http://a.example/m/", ["http://a.example/m/item.json", "http://a.example/m/mlm.json"]),
        ("s3://bucket/m/x.json", ["https://bucket.s3.amazonaws.com/m/x.json"]),
        ("hf:isp/cloud/e/x.json", ["https://huggingface.co/isp/cloud/resolve/main/e/x.json"]),
        ("hf:isp/cloud/e/x.json@v1/a", ["https://huggingface.co/isp/cloud/resolve/v1%2Fa/e/x.json"]),
        (
            "hf:isp/cloud",
            [f"https://huggingface.co/isp/cloud/resolve/main/{name}" for name in ("item.json", "mlm.json")],
        ),
    ],
)
def test_a_reference_stands_for_urls(text: str, items: list[str]) -> None:
    reference = parse_reference(text)
    assert reference is not None
    assert list(reference.items) == items


def test_other_services_are_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example")
    hub, bucket = parse_reference("hf:a/b/x.json"), parse_reference("s3://bucket/x.json")
    assert hub is not None
    assert bucket is not None
    assert hub.items == ("https://hub.example/a/b/resolve/main/x.json",)
    assert bucket.items == ("https://s3.example/bucket/x.json",)


@pytest.mark.parametrize("text", ["embedded", "models/vgt", "/a/b/item.json", "C:\\models\\item.json", "hf"])
def test_names_and_paths_are_none(text: str) -> None:
    assert parse_reference(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:name",
        "hf:a/b/../c.json",
        "hf:a/b//c.json",
        "hf:a/b@",
        "hf:a/b c",
        "file:///etc/passwd",
        "ftp://a.example/item.json",
        "https://",
        "s3://",
        "https://user:secret@a.example/item.json",
    ],
)
def test_what_cannot_be_fetched_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected") as caught:
        parse_reference(text)
    assert "secret" not in str(caught.value)


def test_a_revision_is_main_unless_given() -> None:
    assert repo_of_hub("hf:a/b") == ("a/b", None, "main")
    assert repo_of_hub("hf:a/b/c/d@r") == ("a/b", "c/d", "r")


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("w.onnx", "https://a.example/m/w.onnx"),
        ("./w.onnx", "https://a.example/m/w.onnx"),
        ("deep/w 1.onnx", "https://a.example/m/deep/w%201.onnx"),
        ("w%201.onnx", "https://a.example/m/w%201.onnx"),
    ],
)
def test_a_relative_reference_lies_below_the_item(href: str, url: str) -> None:
    assert below("https://a.example/m/item.json", href, origin="x") == url


@pytest.mark.parametrize(
    "href",
    ["", "../w", "a/../../w", "/w", "//b.example/w", "a\\w", "%2e%2e/w", "%252e%252e/w", "w?x=1", "w#x", "c:w", "a\0b"],
)
def test_a_relative_reference_that_leads_out_is_refused(href: str) -> None:
    with pytest.raises(TrustError, match=r"x: expected a file below the item's folder"):
        below("https://a.example/m/item.json", href, origin="x")


@settings(max_examples=50)
@given(st.text(max_size=20))
def test_whatever_a_reference_says_it_stays_below_the_item(href: str) -> None:
    try:
        url = below("https://a.example/m/item.json", href, origin="x")
    except TrustError:
        return
    assert url.startswith("https://a.example/m/")
    assert ".." not in url.split("/")


def test_a_url_is_fetched_from_where_it_says() -> None:
    assert https_of("http://a.example/w", origin="x") == "http://a.example/w"
