"""Tests of node.api.public."""

import json

from hansa.chain.genesis import decode_genesis


async def test_without_token(live) -> None:
    """Health, figures, genesis and the API's description need no token."""
    for path in ("/healthz/live", "/healthz/ready", "/metrics", "/v1/genesis", "/openapi.json"):
        status, body, _ = await live.call("GET", path, token="")
        assert status == 200, path
        assert body, path
    _, data, _ = await live.call("GET", "/v1/genesis", token="")
    assert live.alliance.genesis == decode_genesis(data)
    _, body, _ = await live.call("GET", "/metrics", token="")
    assert b"hansa_is_super_node 1.0" in body


async def test_not_ready(live) -> None:
    """A node that cannot do its work answers 503 with the reasons."""
    live.services.catalogue.lost_manifests = 1
    status, body, _ = await live.call("GET", "/healthz/ready", token="")
    assert status == 503
    told = json.loads(body)
    assert (False, 1) == (told["ready"], len(told["reasons"]))


async def test_description(live) -> None:
    """The description is OpenAPI, tells octets apart from JSON, and names every path of the contract."""
    _, body, _ = await live.call("GET", "/openapi.json", token="")
    told = json.loads(body)
    assert told["openapi"].startswith("3.")
    upload = told["paths"]["/v1/store/chunks"]["post"]
    assert "application/octet-stream" in upload["requestBody"]["content"]
    assert "204" in upload["responses"]
    lookup = told["paths"]["/v1/store/lookups"]["post"]
    assert "application/octet-stream" in lookup["responses"]["200"]["content"]
