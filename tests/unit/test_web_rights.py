"""Tokens, one-time keys and sessions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.errors import InputError, UsageError
from facesearch.web.rights import Keyring, Rights, Tokens, Visitor

ANNA = Visitor("Anna", Rights.NAME)


def test_rights_include_those_before_them() -> None:
    assert Rights.LOOK < Rights.NAME < Rights.OWNER
    for text in ("look", "name", "owner"):
        assert str(Rights.called(text)) == text
    for text in ("LOOK", "", "all", "3"):
        with pytest.raises(UsageError, match="choose look, name or owner"):
            Rights.called(text)


def test_a_file_of_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# comment\n\n  \nAnna name {'a' * 16}\n\tBert\towner  {'b' * 40}  \nAnna look {'c' * 16}")
    file.chmod(0o600)
    tokens = Tokens.read(file)
    assert tokens.visitor_of("a" * 16) == ANNA
    assert tokens.visitor_of("b" * 40) == Visitor("Bert", Rights.OWNER)
    assert tokens.visitor_of("c" * 16) == Visitor("Anna", Rights.LOOK)
    for wrong in ("", "a" * 15, "a" * 17, "A" * 16, "#", "\ud800"):
        assert tokens.visitor_of(wrong) is None
    file.chmod(0o400)
    assert Tokens.read(file).visitor_of("a" * 16) == ANNA


def test_a_pipe_is_no_file_of_tokens(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(InputError, match="not a file"):
        Tokens.read(tmp_path / "pipe")


def test_tokens_are_kept_as_digests() -> None:
    tokens = Tokens({"s" * 20: ANNA})
    keyring = Keyring(tokens)
    key = keyring.new_key(ANNA)
    begun = keyring.begin(keyring.new_key(ANNA))
    assert begun is not None
    kept = repr([vars(tokens), vars(keyring)])
    assert not any(secret in kept for secret in ("s" * 20, key, begun[0]))


def test_a_key_begins_one_session_and_a_token_any_number() -> None:
    keyring = Keyring(Tokens({"s" * 20: ANNA}))
    key = keyring.new_key(ANNA)
    begun = keyring.begin(key)
    assert begun is not None
    assert keyring.begin(key) is None
    token, visitor = begun
    assert visitor == keyring.visitor_of(token) == ANNA
    assert keyring.visitor_of(key) is None, "a key is no session"
    assert keyring.begin(token) is None, "and a session no key"
    keyring.end(token)
    assert keyring.visitor_of(token) is None
    keyring.end(token)
    first, second = keyring.begin("s" * 20), keyring.begin("s" * 20)
    assert first is not None
    assert second is not None
    assert first[0] != second[0]


def test_keys_and_sessions_are_bounded() -> None:
    keyring = Keyring(Tokens({"s" * 20: ANNA}))
    first = keyring.new_key(ANNA)
    last = [keyring.new_key(ANNA) for _ in range(100)][-1]
    assert keyring.begin(first) is None
    oldest = keyring.begin(last)
    assert oldest is not None
    for _ in range(1000):
        keyring.begin("s" * 20)
    assert keyring.visitor_of(oldest[0]) is None


@given(st.text(), st.text())
def test_only_the_very_token_is_let_in(token: str, other: str) -> None:
    tokens = Tokens({token: ANNA})
    assert tokens.visitor_of(token) == ANNA
    assert (tokens.visitor_of(other) is None) == (token != other)
