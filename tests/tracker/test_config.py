"""Settings come from five layers, secrets from three, and every mistake is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.config import Settings, load_settings, mask_url, masked
from tracker.errors import ConfigError


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    return tmp_path / "no.env"


def test_command_line_beats_environment_beats_dotenv_beats_toml_beats_default(tmp_path: Path) -> None:
    toml, dotenv = tmp_path / "config.toml", tmp_path / ".env"
    toml.write_text('contact = "toml"\ndatabase_url = "sqlite:///toml"\nmetr_url = "https://toml.example"\n')
    dotenv.write_text("SPEEDUP_CONTACT=dotenv\nSPEEDUP_DATABASE_URL=sqlite:///dotenv\n")
    settings = load_settings(
        config=toml,
        dotenv=dotenv,
        environ={"SPEEDUP_CONTACT": "environment"},
        overrides={"database_url": None},
    )
    assert settings.contact == "environment"
    assert settings.database_url == "sqlite:///dotenv"
    assert settings.metr_url == "https://toml.example"
    assert settings.manifold_url == ""
    above = load_settings(config=toml, dotenv=dotenv, environ={}, overrides={"database_url": "sqlite:///cli"})
    assert above.database_url == "sqlite:///cli"


def test_every_mistake_is_reported_in_one_message(tmp_path: Path, nowhere: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text('metaculus_token = "never here"\nwrong_key = 1\n[poll_hours]\nmetr = -1\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(
            config=toml,
            dotenv=nowhere,
            environ={"SPEEDUP_MANIFOLD_URL": "ftp://x", "SPEEDUP_DATABASE_URL": "/plain/path"},
        )
    text = str(caught.value)
    for word in ("metaculus_token", "wrong_key", "poll_hours.metr", "manifold_url", "database_url"):
        assert word in text
    assert "never here" not in text
    assert caught.value.exit_code == 2


def test_a_secret_may_come_from_a_file_and_is_never_shown(tmp_path: Path, nowhere: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("canary-1234\n")
    settings = load_settings(dotenv=nowhere, environ={"SPEEDUP_METACULUS_TOKEN_FILE": str(secret)})
    assert settings.secret_of("metaculus_token") == "canary-1234"
    assert "canary-1234" not in repr(settings) + str(masked(settings))
    assert masked(settings)["metaculus_token"] == "set"
    assert masked(settings)["manifold_key"] == "not set"


def test_an_unreadable_secret_file_is_a_mistake_that_names_the_variable(nowhere: Path) -> None:
    with pytest.raises(ConfigError, match="SPEEDUP_METACULUS_TOKEN_FILE"):
        load_settings(dotenv=nowhere, environ={"SPEEDUP_METACULUS_TOKEN_FILE": "/nonexistent/token"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:se@cret@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("sqlite:///a.sqlite", "sqlite:///a.sqlite"),
    ],
)
def test_a_database_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_the_limits_of_the_check_of_links_come_from_the_file_alone(tmp_path: Path, nowhere: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("[links]\noverdue_days = 7\n")
    settings = load_settings(config=toml, dotenv=nowhere, environ={"SPEEDUP_LINKS": "1"})
    assert (settings.links.overdue_days, settings.links.min_forecasters) == (7, 10)
    assert masked(settings)["links"]["overdue_days"] == 7
    toml.write_text("[links]\noverdue_days = -1\nmax_spread = 1.5\nsoon = true\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(config=toml, dotenv=nowhere, environ={})
    for word in ("links.overdue_days", "links.max_spread", "links.soon"):
        assert word in str(caught.value)


def mail(nowhere: Path, **variables: str) -> Settings:
    environ = {f"SPEEDUP_{name.upper()}": value for name, value in variables.items()}
    return load_settings(dotenv=nowhere, environ=environ)


def test_mail_is_set_up_by_variables_and_its_password_by_a_file(tmp_path: Path, nowhere: Path) -> None:
    (tmp_path / "password").write_text("canary-5678\n")
    settings = mail(
        nowhere,
        smtp_host="smtp.example.org",
        smtp_tls="starttls",
        smtp_user="me",
        smtp_password_file=str(tmp_path / "password"),
        mail_from="tracker@Example.org",
        mail_to="ada@example.org, Bob@EXAMPLE.org,,ada@example.org",
        digest_at="fri 17:30 America/New_York",
    )
    assert settings.mail_to == ("ada@example.org", "Bob@example.org")
    assert settings.mail_from == "tracker@example.org"
    assert settings.secret_of("smtp_password") == "canary-5678"
    assert "canary-5678" not in repr(settings) + str(masked(settings))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"smtp_host": "smtp.example.org"}, "mail_from"),
        ({"smtp_host": "smtp.example.org", "smtp_tls": "none", "mail_from": "a@b.org"}, "this machine only"),
        (
            {"smtp_host": "localhost.evil.org", "smtp_tls": "none", "mail_from": "a@b.org"},
            "this machine only",
        ),
        ({"smtp_host": "localhost", "mail_drop": "out", "mail_from": "a@b.org"}, "one of them"),
        ({"smtp_user": "me"}, "belong together"),
        ({"smtp_tls": "none", "smtp_user": "me", "smtp_password": "pass"}, "in clear"),
        ({"smtp_tls": "ssl"}, "SPEEDUP_SMTP_TLS"),
        ({"smtp_port": "70000"}, "SPEEDUP_SMTP_PORT"),
        ({"mail_to": "ada@example.org,eve"}, "SPEEDUP_MAIL_TO"),
        ({"mail_from": "Ada <ada@example.org>"}, "SPEEDUP_MAIL_FROM"),
        ({"mail_base_url": "https://t.example.org"}, "mail_secret"),
        ({"mail_base_url": "https://t.example.org", "mail_secret": "short"}, "16 characters"),
        ({"mail_base_url": "http://t.example.org", "mail_secret": "s" * 20}, "https://"),
        ({"digest_at": "07:00"}, "name a day"),
        ({"digest_at": "mon 7 Uhr"}, "SPEEDUP_DIGEST_AT"),
    ],
)
def test_mail_that_could_not_be_sent_safely_is_refused(
    nowhere: Path, variables: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        mail(nowhere, **variables)
    assert told in str(caught.value)
    assert "eve" not in str(caught.value)
