"""Servers and proxies that have less than Redis: the error says what is missing, and repeats
nothing that was sent."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError, ResponseError
from redis_support import Place, stop_servers
from support import missing

from otpverify import Limit, RedisStore, StoreError
from otpverify.core.answers import Reserved
from otpverify.stores.redis.health import store_error

__all__ = ["stop_servers"]

LIMITS = (Limit(10, 60),)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (
            "user_script:1: Script attempted to access nonexistent global variable 'struct'",
            "'struct'",
        ),
        ("[string \"<python>\"]:1: attempt to index global 'struct' (a nil value)", "'struct'"),
        ("user_script:1: attempt to call field 'pack' (a nil value)", "'pack'"),
        ("unknown command 'EVALSHA', with args beginning with: '+37256789045'", "command EVALSHA"),
        ("unknown command `HELLO`, with args beginning with: `3`", "command HELLO"),
        ("ERR unknown command 'eval'", "command EVAL"),
        ("unsupported command 'evalsha'", "command EVALSHA"),
        ("invalid request", "a command that is needed"),
        ("Unknown Redis command called from script script: f_6a49", "does not know"),
    ],
)
@pytest.mark.parametrize("kind", [ResponseError, RedisConnectionError])
def test_what_a_server_lacks_is_named(kind: type[Exception], said: str, named: str) -> None:
    text = str(store_error(kind(said)))
    assert named in text
    assert "Redis 6.2 or later" in text
    assert "37256789045" not in text


@pytest.mark.parametrize(
    "said",
    [
        "NOPERM User default has no permissions to run the 'time' command",
        "ACL failure in script: User default has no permissions to run the 'time' command",
        "Error running script: The user executing the script can't run this command or subcommand",
    ],
)
def test_permissions_are_another_error(said: str) -> None:
    assert "permissions" in str(store_error(ResponseError(said)))


def test_an_imitation_without_a_part_of_lua() -> None:
    if find_spec("fakeredis") is None or find_spec("lupa") is None:
        missing("fakeredis is not installed")
    import fakeredis

    store = RedisStore(fakeredis.FakeRedis())
    with pytest.raises(StoreError, match=r"Its Lua does not have 'struct'\.") as caught:
        store.reserve("network", LIMITS)
    assert caught.value.__context__ is None


def test_a_url_needs_no_hello() -> None:
    place = Place("valkey9")
    with place.server.client() as admin:
        admin.execute_command("ACL SETUSER limited on >word ~* +@all -hello")
        url = place.server.url.replace("//", "//limited:word@")
        with RedisStore.from_url(url) as store:
            assert isinstance(store.reserve("without hello", LIMITS), Reserved)
        admin.execute_command("ACL DELUSER limited")
    place.tidy()
