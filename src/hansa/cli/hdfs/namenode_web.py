"""The NameNode's web server: its figures, and what an administrator does to folders.

Simple authentication: who asks says who they are, here the superuser. WebHDFS is for this only; data go
by the client library, which is an order of magnitude faster.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from hansa.cli.hdfs.configuration import HOST, SUPERUSER
from hansa.errors import UnavailableError

_ASK_S_MAX = 30


class NameNodeWeb:
    """Asks the NameNode of a cluster on this machine."""

    def __init__(self, port: int) -> None:
        """Take the port of its web server."""
        self.url = f"http://{HOST}:{port}"

    def figures(self) -> dict[str, Any]:
        """Return the NameNode's own figures (its JMX beans FSNamesystemState and FSNamesystem).

        Raises:
            OSError, ValueError: it does not answer.
        """
        found: dict[str, Any] = {}
        for bean in ("FSNamesystem", "FSNamesystemState"):
            query = f"/jmx?qry=Hadoop:service=NameNode,name={bean}"
            beans = json.loads(self._ask("GET", query)).get("beans", [])
            found |= beans[0] if beans else {}
        return found

    def make_folder(self, path: str, owner: str) -> None:
        """Make a folder that only its owner may enter, as an administrator would.

        Raises:
            UnavailableError: the NameNode does not answer, or refuses.
        """
        self._administer(path, "MKDIRS", permission="700")
        self._administer(path, "SETOWNER", owner=owner)
        self._administer(path, "SETPERMISSION", permission="700")

    def set_space_quota(self, path: str, quota_bytes: int) -> None:
        """Bound what a folder may take, replicas counted.

        Raises:
            UnavailableError: the NameNode does not answer, or refuses.
        """
        self._administer(path, "SETQUOTA", storagespacequota=str(quota_bytes))

    def _administer(self, path: str, operation: str, **parameters: str) -> None:
        query = urllib.parse.urlencode({"op": operation, "user.name": SUPERUSER, **parameters})
        try:
            self._ask("PUT", f"/webhdfs/v1{urllib.parse.quote(path)}?{query}")
        except urllib.error.HTTPError as error:
            raise UnavailableError(f"The NameNode refuses {operation} of {path}.") from error
        except (OSError, ValueError) as error:
            raise UnavailableError(
                f"The NameNode does not answer at {operation} of {path}."
            ) from error

    def _ask(self, method: str, path: str) -> bytes:
        """Send a request; through no proxy, whatever the environment says."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - http
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_ASK_S_MAX) as answer:
            return bytes(answer.read())
