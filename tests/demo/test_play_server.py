"""The loopback server: right bytes, honest 304s, one rendering an edition, and nothing left running."""

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from tests.demo.tables import recording
from tracker.demo.recording import PLATFORMS, Answer, Params, Recording
from tracker.demo.server import PlayServer

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
METR = "assets/benchmark_results_1_1.yaml"
SET = "datasets/resolution_sets/2026-02-15_resolution_set.json"


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One keep-alive connection to a platform's base URL."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.prefix = parts.path
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def get(self, path: str, **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", f"{self.prefix}/{path}", headers=named)
        answer = self.connection.getresponse()
        body = answer.read()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def server() -> Iterator[PlayServer]:
    with PlayServer(recording(), NOW) as running:
        yield running


@pytest.fixture
def client(server: PlayServer) -> Iterator[Client]:
    opened = Client(server.url("metr").rsplit("/", 1)[0])
    yield opened
    opened.close()


def test_it_serves_what_the_recording_says_at_the_moment_it_is_set_to(
    server: PlayServer, client: Client
) -> None:
    for moment in (NOW, NOW + timedelta(days=60), NOW - timedelta(days=30)):
        server.now = moment
        got = client.get("metaculus/api/posts/?ids=41140&with_cp=true", Authorization="Token x")
        expected = recording().answer(
            "metaculus",
            "api/posts/",
            [("ids", "41140"), ("with_cp", "true")],
            at=moment,
            authorization="Token x",
        )
        assert (got.status, got.headers["content-type"], got.body) == (
            200,
            expected.content_type,
            expected.body,
        )
        assert got.headers["content-length"] == str(len(expected.body))


def test_it_listens_on_the_loopback_address_only_and_names_each_platforms_base(server: PlayServer) -> None:
    for platform in PLATFORMS:
        parts = urlsplit(server.url(platform))
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", f"/{platform}")
    with pytest.raises(ValueError, match="no platform 'kalshi'"):
        server.url("kalshi")


def test_one_connection_carries_many_requests(client: Client) -> None:
    first = client.get(f"metr/{METR}")
    socket = client.connection.sock
    for _ in range(20):
        assert client.get(f"metr/{METR}").body == first.body
    assert client.connection.sock is socket


@pytest.mark.parametrize("path", [f"metr/{METR}", f"forecastbench/{SET}"])
def test_a_file_that_has_not_changed_is_a_304_without_a_body(client: Client, path: str) -> None:
    full = client.get(path)
    again = client.get(path, If_None_Match=full.headers["etag"])
    weak = client.get(path, If_None_Match=f'"other", W/{full.headers["etag"]}')
    assert (full.status, again.status, again.body, weak.status) == (200, 304, b"", 304)
    assert again.headers["etag"] == full.headers["etag"]
    assert client.get(path, If_None_Match='"other"').status == 200


def test_a_file_that_has_changed_is_sent_with_another_tag(server: PlayServer, client: Client) -> None:
    before = client.get(f"metr/{METR}")
    server.now = datetime(2026, 5, 8, tzinfo=UTC)
    after = client.get(f"metr/{METR}", If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert after.headers["etag"] != before.headers["etag"]


def test_only_static_files_carry_a_tag(client: Client) -> None:
    assert "etag" not in client.get("manifold/v0/market/92gdnLROgN").headers
    assert "etag" not in client.get("metaculus/api/posts/", Authorization="Token x").headers
    assert "etag" not in client.get("metr/assets/benchmark_results.yaml").headers


def test_refusals_are_the_platforms_own(client: Client) -> None:
    assert client.get("metaculus/api/posts/").status == 403
    assert client.get("manifold/v0/market/nosuchmarket").status == 404
    assert client.get("manifold/v0/market-probs?ids=a&cursor=1").status == 400
    assert client.get("kalshi/markets").status == 404
    assert client.get("").status == 404
    assert client.get("manifold").status == 404


def test_escapes_in_a_path_are_read(client: Client) -> None:
    assert client.get("manifold/v0/market/92gdnL%52OgN").status == 200
    assert client.get("manifold/v0/market-probs?ids%5B%5D=92gdnLROgN").status == 200
    assert client.get("manifold/v0/market/%ff%00").status == 404


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "rest", ["", "//[", "..%2f..%2fetc%2fpasswd", "?" + "&" * 500, "api/posts/?limit=" + "9" * 5000 + "#"]
)
def test_no_target_however_odd_breaks_the_server(client: Client, platform: str, rest: str) -> None:
    assert client.get(f"{platform}/{rest}", Authorization="Token x").status in (200, 400, 404)
    assert client.get(f"metr/{METR}").status == 200


def test_requests_are_counted_by_platform_and_status(server: PlayServer, client: Client) -> None:
    tag = client.get(f"metr/{METR}").headers["etag"]
    client.get(f"metr/{METR}", If_None_Match=tag)
    client.get("manifold/v0/market/92gdnLROgN")
    client.get("nowhere/at/all")
    assert server.requests() == 4
    assert server.requests("metr") == 2
    assert server.requests("metr", 304) == 1
    assert server.requests(status=404) == 1


class CountingRecording(Recording):
    """Counts how often an answer is really made."""

    made = 0

    def answer(
        self, platform: str, path: str, params: Params = (), *, at: datetime, authorization: str = ""
    ) -> Answer:
        type(self).made += 1
        return super().answer(platform, path, params, at=at, authorization=authorization)


def test_an_answer_is_made_once_for_each_edition_of_its_platform() -> None:
    CountingRecording.made = 0
    player = PlayServer(CountingRecording(recording().facts), NOW)
    with player:
        for hour in range(12):
            player.now = NOW + timedelta(hours=hour / 2)
            player.respond("/manifold/v0/market/92gdnLROgN", "", "")
            player.respond(f"/metr/{METR}", "", "")
        assert CountingRecording.made == 2
        player.now = NOW + timedelta(days=1)
        player.respond("/manifold/v0/market/92gdnLROgN", "", "")
        player.respond(f"/metr/{METR}", "", "")
        assert CountingRecording.made == 3  # a new day for Manifold, the same version at METR


def test_one_callers_refusal_is_not_anothers_answer(client: Client) -> None:
    assert client.get("metaculus/api/posts/41140/").status == 403
    assert client.get("metaculus/api/posts/41140/", Authorization="Token x").status == 200
    assert client.get("metaculus/api/posts/41140/").status == 403


def test_many_clients_at_once_get_the_same_bytes(server: PlayServer) -> None:
    def fetch(_: int) -> set[bytes]:
        client = Client(server.url("forecastbench"))
        try:
            return {client.get(SET).body for _ in range(25)}
        finally:
            client.close()

    with ThreadPoolExecutor(8) as pool:
        bodies = set().union(*pool.map(fetch, range(8)))
    assert len(bodies) == 1
    assert server.requests("forecastbench", 200) == 200


def test_leaving_the_block_ends_waiting_connections_and_every_thread() -> None:
    before = threading.active_count()
    with PlayServer(recording(), NOW) as running:
        waiting = Client(running.url("metr"))
        assert waiting.get(METR).status == 200
        assert threading.active_count() > before
    assert threading.active_count() == before
    with pytest.raises((http.client.HTTPException, OSError)):
        waiting.get(METR)
    waiting.close()


def test_a_moment_without_an_offset_is_refused(server: PlayServer) -> None:
    with pytest.raises(ValueError, match="naive datetime"):
        server.now = datetime(2026, 3, 10)
    assert server.now == NOW


def test_what_is_not_a_get_is_not_served(client: Client) -> None:
    client.connection.request("POST", "/manifold/v0/market", body=b"{}")
    answer = client.connection.getresponse()
    answer.read()
    assert answer.status == 501
