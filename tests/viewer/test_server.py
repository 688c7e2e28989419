from __future__ import annotations

import http.client
import logging
import socket
from typing import Any

import pytest

from undercast.errors import UsageError
from undercast.viewer.desk import Desk
from undercast.viewer.server import LARGEST_BODY, LabelServer

POINT = {"row": 1, "col": 1, "label": 5}


@pytest.fixture
def server(desk: Desk, serve: Any) -> LabelServer:
    started: LabelServer = serve(desk)
    return started


def test_the_server_listens_on_this_machine_alone(server: LabelServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 43


def test_the_page_asks_for_nothing_from_elsewhere(server: LabelServer, ask: Any) -> None:
    status, page = ask(server, "")
    assert status == 200
    assert b"http://" not in page
    assert b"https://" not in page
    assert b"NONCE" not in page


def test_the_page_forbids_what_it_does_not_need(server: LabelServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", f"/{server.token}/")
    answer = connection.getresponse()
    text = answer.read().decode()
    policy = answer.getheader("Content-Security-Policy") or ""
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">' in text
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    connection.close()


@pytest.mark.parametrize("token", ["", "x", "%C3%A9", "x" * 43])
def test_a_request_without_the_token_finds_nothing(server: LabelServer, ask: Any, token: str) -> None:
    assert ask(server, "state", token=token)[0] == 404
    assert ask(server, "add", POINT, token=token)[0] == 404
    assert server.desk.session.points == ()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", ""])
def test_a_request_for_another_host_finds_nothing(server: LabelServer, ask: Any, host: str) -> None:
    assert ask(server, "state", headers={"Host": host})[0] == 404
    assert ask(server, "state", headers={"Host": f"localhost:{server.server_port}"})[0] == 200


def test_a_request_from_another_origin_finds_nothing(server: LabelServer, ask: Any) -> None:
    assert ask(server, "add", POINT, headers={"Origin": "http://evil.example"})[0] == 404
    assert ask(server, "add", POINT, headers={"Origin": "null"})[0] == 404
    assert ask(server, "add", POINT, headers={"Origin": f"http://127.0.0.1:{server.server_port}"})[0] == 200


def test_points_are_added_and_removed(server: LabelServer, ask: Any) -> None:
    assert ask(server, "add", POINT)[1]["points"] == [[1, 1, 5]]
    assert ask(server, "remove", {"row": 1, "col": 1})[1]["points"] == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"row": 1, "col": 1}, "whole number 'label'"),
        ({"row": "1", "col": 1, "label": 5}, "whole number 'row'"),
        ({"row": 1.0, "col": 1, "label": 5}, "whole number 'row'"),
        ({"row": 999, "col": 1, "label": 5}, "inside 24 x 30"),
        ({"row": 1, "col": 1, "label": 0}, "expected a class"),
        ([1, 2], "JSON object"),
        (b"{", "expected JSON"),
        (b"[" * 4000, "expected JSON"),
        (b" " * (LARGEST_BODY + 1), "at most"),
    ],
    ids=str,
)
def test_a_wrong_body_is_refused_in_one_line(server: LabelServer, ask: Any, body: Any, told: str) -> None:
    status, answer = ask(server, "add", body)
    assert status == 400
    assert told in answer["error"]
    assert "\n" not in answer["error"]
    assert server.desk.session.points == ()


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999", ""])
def test_a_body_of_no_sensible_length_is_not_read(server: LabelServer, ask: Any, length: str) -> None:
    assert ask(server, "add", b"{}", headers={"Content-Length": length})[0] == 400


def test_a_form_of_another_page_is_refused(server: LabelServer, ask: Any) -> None:
    status, answer = ask(server, "add", POINT, headers={"Content-Type": "text/plain"})
    assert (status, "application/json" in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "view/../page.html", "page.html", "view/-1", "view/1e1", "points"]
)
def test_no_path_leads_to_a_file(server: LabelServer, ask: Any, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_classes_with_fewer_than_three_points_are_refused_by_the_api(server: LabelServer, ask: Any) -> None:
    ask(server, "add", POINT)
    status, answer = ask(server, "train", {})
    assert status == 400
    assert "at least 3 points" in answer["error"]
    assert "land has 1" in answer["error"]


def test_pictures_are_pngs(pointed: Desk, serve: Any, ask: Any) -> None:
    server = serve(pointed)
    assert ask(server, "labels")[0] == 400
    ask(server, "train", {})
    for path in ("view/0", "labels?round=1", "confidence"):
        status, picture = ask(server, path)
        assert (status, picture[:4]) == (200, b"\x89PNG")
    assert ask(server, "view/99")[0] == 400


def test_finishing_saves_and_stops(pointed: Desk, ask: Any) -> None:
    import threading

    with LabelServer(pointed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert ask(server, "finish", {})[0] == 400
        ask(server, "train", {})
        assert ask(server, "finish", {})[1]["saved"]["class_map"].endswith("stripes_class_map.tif")
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_a_defect_is_told_without_its_details(
    server: LabelServer, ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(server.desk, "state", fail)
    status, answer = ask(server, "state")
    assert status == 500
    assert "secret" not in answer["error"]
    assert "a request failed" in caplog.text


def test_the_log_does_not_tell_the_token(server: LabelServer, ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(server, "state")
    assert "state" in caplog.text
    assert server.token not in caplog.text


def test_a_port_that_is_taken_is_a_usage_error(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--port"):
            LabelServer(desk, taken.getsockname()[1])
