"""Tests of hansa.cli.hdfs.namenode_web over a small HTTP server; the real NameNode in tests/e2e."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hansa.cli.hdfs.namenode_web import NameNodeWeb
from hansa.errors import UnavailableError


class _Handler(BaseHTTPRequestHandler):
    """Answers as a NameNode does."""

    def do_GET(self) -> None:
        """Answer a question for figures."""
        self._answer({"beans": [{"path": self.path, "FSState": "Operational"}]})

    def do_PUT(self) -> None:
        """Note a change; refuse those of folders called "refused"."""
        self.server.asked.append(self.path)
        self._answer({}, 403 if "refused" in self.path else 200)

    def _answer(self, document: dict, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        """Say nothing."""


@pytest.fixture
def server():
    """Return a running server."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_figures(server, monkeypatch) -> None:
    """Both beans are joined; no proxy of the environment is asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    web = NameNodeWeb(server.server_port)
    assert web.figures()["FSState"] == "Operational"
    assert "FSNamesystemState" in web.figures()["path"]


def test_a_folder_of_an_organisation(server) -> None:
    """Made, given away, closed to others: in this order, by the superuser."""
    NameNodeWeb(server.server_port).make_folder("/a b", "transport")
    operations = [path.split("op=")[1].split("&")[0] for path in server.asked]
    assert operations == ["MKDIRS", "SETOWNER", "SETPERMISSION"]
    assert all(path.startswith("/webhdfs/v1/a%20b?") for path in server.asked)
    assert all("user.name=hdfs_superuser" in path for path in server.asked)
    assert "owner=transport" in server.asked[1]
    assert "permission=700" in server.asked[2]


def test_refusals_are_told(server) -> None:
    """What the NameNode refuses, or no NameNode at all, is an error of ours."""
    with pytest.raises(UnavailableError, match="SETQUOTA"):
        NameNodeWeb(server.server_port).set_space_quota("/refused", 5)
    with pytest.raises(UnavailableError):
        NameNodeWeb(1).make_folder("/a", "b")
