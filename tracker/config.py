"""Settings: command line > environment (SPEEDUP_*) > .env > a TOML file > default.

Secrets come only from the environment, ``.env`` or a file named by ``SPEEDUP_…_FILE``; they are kept in
``SecretStr`` and never printed. All mistakes are reported together.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from platformdirs import user_config_path, user_data_path, user_state_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tracker.errors import ConfigError
from tracker.schedule import LocalTime, QuietHours

APP = "speedup-tracker"
PREFIX = "SPEEDUP_"
WEBHOOKS = ("alert_webhook", "slack_webhook", "discord_webhook", "matrix_webhook")
SECRETS = (
    "metaculus_token",
    "manifold_key",
    "fatebook_key",
    "ping_url",
    "smtp_password",
    "mail_secret",
    *WEBHOOKS,
)
FROM_FILES = (*SECRETS, "database_url")  # also SPEEDUP_…_FILE
RAW_DAYS_LEAST, LETTER_DAYS_LEAST = 30, 30
THIN_DAYS_LEAST = 120  # a digest looks back on fourteen weeks
SECTIONS = ("poll_hours", "requests_per_hour", "jobs", "links", "daemon", "alerts")

AlertKind = Literal[
    "move", "flip", "disagreement", "series", "source", "drift", "question", "overdue", "resolved", "digest"
]


def _url(value: str) -> str:
    """A base URL without a slash at its end. ValueError for one that is not safe to ask."""
    plain = re.match(r"http://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/|$)", value)
    if value and not value.startswith("https://") and not plain:
        raise ValueError("must start with https:// (http:// only for loopback)")
    return value.rstrip("/")


_LOCAL_HOST = r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[?::1\]?"
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+"
)


def mail_address(text: str) -> str:
    """A mail address with its domain in lower case, as ASCII. ValueError, which does not repeat it, for anything else.

    >>> mail_address(" Ada.L@Büro.Example ")
    'Ada.L@xn--bro-hoa.example'
    """
    local, at, domain = text.strip().rpartition("@")
    try:
        domain = domain.encode("idna").decode().lower() if at else ""
    except UnicodeError:
        domain = ""
    address = f"{local}@{domain}"
    if (
        len(address) > 254
        or not _ADDRESS.fullmatch(address)
        or ".." in address
        or local[:1] == "."
        or local[-1:] == "."
    ):
        raise ValueError("not a mail address such as ada@example.org (its first part in ASCII, unquoted)")
    return address


class LinkSettings(BaseModel):
    """When ``speedup questions check-links`` speaks up; the section ``[links]`` of the TOML file.

    ``overdue_days``: a question unresolved for longer than this after its close is named. The floor of a
    usable price: ``min_forecasters`` people, ``min_volume`` in the platform's own money, and no more than
    ``max_spread`` between bid and ask (what the market's voice takes at most). ``together_minutes``: values
    seen within so long of each other count as seen at one time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    overdue_days: Annotated[float, Field(ge=0, le=3650)] = 30.0
    min_forecasters: Annotated[int, Field(ge=0)] = 10
    min_volume: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 500.0
    max_spread: Annotated[float, Field(ge=0, le=1)] = 0.10
    together_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 15.0


class DaemonSettings(BaseModel):
    """How ``speedup run`` keeps time; the section ``[daemon]`` of the TOML file.

    ``tick_s``: seconds between two looks at what is due. ``lease_s``: a leader silent for so long loses its lead
    (one that dies loses it at once). ``workers``: jobs under way at once. ``job_limit_minutes``: a job that takes
    longer is stuck, and systemd's watchdog is no longer told that all is well. ``backup_at``, ``check_at``: local
    times such as ``03:30 Europe/Berlin`` or ``sun 04:15``. ``backup_folder``: empty is ``backups`` beside the
    database. Kept are the last ``keep_daily`` backups and the last of each of ``keep_weekly`` weeks. ``raw_days``:
    so long all raw payloads are kept; after that those that nothing rests on go (0: all are kept for ever).
    ``thin_days``: so long all values are kept; after that those within a day go that no answer by the day needs
    (0: all for ever). ``letter_days``: so long the bytes of letters that are over are kept (0: for ever).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tick_s: Annotated[float, Field(ge=0.05, le=300)] = 15.0
    lease_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    workers: Annotated[int, Field(ge=1, le=8)] = 2
    job_limit_minutes: Annotated[float, Field(ge=1, le=24 * 60)] = 180.0
    backup_at: str = "03:30 UTC"
    backup_folder: str = ""
    keep_daily: Annotated[int, Field(ge=1, le=1000)] = 7
    keep_weekly: Annotated[int, Field(ge=0, le=1000)] = 4
    check_at: str = "sun 04:15 UTC"
    raw_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    thin_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    letter_days: Annotated[int, Field(ge=0, le=36_500)] = 0

    @field_validator("backup_at", "check_at")
    @classmethod
    def _local_time(cls, value: str) -> str:
        LocalTime.parse(value)
        return value

    @field_validator("raw_days", "thin_days", "letter_days")
    @classmethod
    def _not_the_latest(cls, value: int, info: ValidationInfo) -> int:
        least = {"raw_days": RAW_DAYS_LEAST, "thin_days": THIN_DAYS_LEAST}.get(
            info.field_name or "", LETTER_DAYS_LEAST
        )
        if 0 < value < least:
            raise ValueError(f"must be 0 (all are kept for ever) or at least {least}")
        return value

    @model_validator(mode="after")
    def _lease_outlives_ticks(self) -> DaemonSettings:
        if self.lease_s < 2 * self.tick_s:
            raise ValueError("lease_s must be at least twice tick_s, or a slow look loses the lead")
        return self


class JobSettings(BaseModel):
    """Another timing for one job of the daemon; a section such as ``[jobs.links]`` of the TOML file.

    ``at``: a local time such as ``sun 05:00 Europe/Berlin``; or ``every_hours``. ``jitter_minutes``: how much
    later than that at most, by the job's name. ``limit_minutes`` instead of ``job_limit_minutes``. ``off``: never.
    Polls keep the periods of ``[poll_hours]``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    at: str = ""
    every_hours: Annotated[float, Field(gt=0, le=24 * 366)] | None = None
    jitter_minutes: Annotated[float, Field(ge=0, le=24 * 60)] = 0.0
    limit_minutes: Annotated[float, Field(ge=1, le=24 * 60)] | None = None
    off: bool = False

    @field_validator("at")
    @classmethod
    def _local_time(cls, value: str) -> str:
        if value:
            LocalTime.parse(value)
        return value

    @model_validator(mode="after")
    def _one_timing(self) -> JobSettings:
        if self.at and self.every_hours is not None:
            raise ValueError("give either at or every_hours")
        return self


class AlertSettings(BaseModel):
    """When an alert is due, and when it may go out; the section ``[alerts]`` of the TOML file.

    A question alerts when its log-odds have moved by ``move_log_odds`` since what was last told of it (1 is from 50%
    to 73%) and have stood there for ``move_hold_hours``, if it is ``min_age_days`` old and its value is not below the
    floor of ``[links]``, a market's liquidity not below ``min_liquidity`` (``unbacked``: also where nobody tells how
    many forecasters or how much money stand behind it). A pair of areas flips when its lean lies
    beyond 1/2 by ``flip_margin``, or by the voice's own noise if that is more, for ``flip_hold_hours``. Voices
    disagree after ``disagreement_weeks`` weeks running. A point of a series is revised when it changed by more than
    the share ``revision_share``; of the series in ``every_change`` any change of bytes counts. The digest is missing
    ``digest_late_hours`` after its time. The voices are asked every ``order_hours``, everything else every
    ``every_minutes``.

    ``quiet`` (``22:00-07:00 Europe/Berlin``) holds messages back, ``batch_minutes`` lie between two of them, and of
    one signal nothing more is told for ``cooldown_hours``. ``mute``: kinds that are not told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    every_minutes: Annotated[float, Field(ge=1, le=24 * 60)] = 15.0
    order_hours: Annotated[float, Field(ge=0, le=24 * 7)] = 6.0
    move_log_odds: Annotated[float, Field(gt=0, le=10)] = 1.0
    move_hold_hours: Annotated[float, Field(ge=0, le=24 * 14)] = 12.0
    min_age_days: Annotated[float, Field(ge=0, le=365)] = 3.0
    min_liquidity: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 100.0
    unbacked: bool = False
    flip_margin: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    flip_hold_hours: Annotated[float, Field(ge=0, le=24 * 14)] = 24.0
    disagreement_weeks: Annotated[int, Field(ge=1, le=52)] = 2
    revision_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    every_change: tuple[str, ...] = ("metr_th11",)
    digest_late_hours: Annotated[float, Field(gt=0, le=24 * 7)] = 6.0
    quiet: str = ""
    batch_minutes: Annotated[float, Field(ge=0, le=24 * 60)] = 60.0
    cooldown_hours: Annotated[float, Field(ge=0, le=48)] = 24.0
    mute: tuple[AlertKind, ...] = ()

    @field_validator("quiet")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value:
            QuietHours.parse(value)
        return value


class Settings(BaseModel):
    """Effective settings. Field ``x_y`` is ``SPEEDUP_X_Y`` in the environment and ``x_y`` in TOML.

    ``<source>_url`` replaces a source's base URL (a mirror, a proxy, a test server); plain http and
    private addresses are allowed there only for loopback. ``poll_hours`` (TOML) sets a source's period,
    ``requests_per_hour`` (TOML) the most the daemon asks of it, ``jobs`` (TOML) the times of its other jobs,
    ``links`` (TOML) the limits of the check of links, ``daemon`` (TOML) the daemon's own clockwork.
    ``http_bind`` ``off``: the daemon answers no HTTP. ``ping_url`` is told of every job (a dead-man switch) and is
    a secret, because whoever knows it can ping too; so are the addresses of the webhooks that alerts go to.
    ``alerts`` (TOML): when something is an alert.

    Mail leaves by ``smtp_host`` (``smtp_port`` 0: 465, 587 or 25 by ``smtp_tls``; ``smtp_ca_file``: who else may
    vouch for it) or into ``mail_drop``, a folder of .eml files or ``-`` for stdout. ``mail_base_url``: where people
    reach this program's pages from outside, for links that confirm and unsubscribe; ``mail_secret`` signs them.
    ``digest_url``: where the folder that ``speedup digest --archive`` writes can be seen, for the mail's links.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: str = ""
    questions_path: tuple[Path, ...] = ()
    contact: Annotated[str, Field(max_length=200, pattern=r"^[\x20-\x7e]*$")] = ""
    manifold_url: str = ""
    metaculus_url: str = ""
    forecastbench_url: str = ""
    metr_url: str = ""
    polymarket_gamma_url: str = ""
    polymarket_clob_url: str = ""
    polymarket_data_url: str = ""
    kalshi_url: str = ""
    fatebook_url: str = ""
    epoch_hub_url: str = ""
    epoch_eci_url: str = ""
    epoch_dc_url: str = ""
    swebench_url: str = ""
    mlebench_url: str = ""
    aei_url: str = ""
    digest_url: str = ""
    metaculus_token: SecretStr | None = None
    manifold_key: SecretStr | None = None
    fatebook_key: SecretStr | None = None
    poll_hours: dict[str, Annotated[float, Field(gt=0, le=24 * 31)]] = {}
    requests_per_hour: dict[str, Annotated[int, Field(ge=1, le=1_000_000)]] = {}
    jobs: dict[str, JobSettings] = {}
    links: LinkSettings = LinkSettings()
    daemon: DaemonSettings = DaemonSettings()
    alerts: AlertSettings = AlertSettings()
    log_format: Literal["text", "json"] = "text"
    http_bind: str = "127.0.0.1:8321"
    ping_url: SecretStr | None = None
    smtp_host: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.:\[\]-]*$")] = ""
    smtp_port: Annotated[int, Field(ge=0, le=65535)] = 0
    smtp_user: Annotated[str, Field(max_length=320)] = ""
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["implicit", "starttls", "none"] = "implicit"
    smtp_ca_file: Path | None = None
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    mail_drop: str = ""
    mail_base_url: str = ""
    mail_secret: SecretStr | None = None
    digest_at: str = "mon 07:00 UTC"
    alert_webhook: SecretStr | None = None
    slack_webhook: SecretStr | None = None
    discord_webhook: SecretStr | None = None
    matrix_webhook: SecretStr | None = None

    @field_validator("questions_path", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part).expanduser() for part in value.split(":") if part)
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value and "://" not in value:
            raise ValueError("must be a URL: sqlite:///path or postgresql://user@host/name")
        return value

    @field_validator(
        "manifold_url", "metaculus_url", "forecastbench_url", "metr_url",
        "polymarket_gamma_url", "polymarket_clob_url", "polymarket_data_url", "kalshi_url", "fatebook_url",
        "epoch_hub_url", "epoch_eci_url", "epoch_dc_url", "swebench_url", "mlebench_url", "aei_url",
        "mail_base_url", "digest_url",
    )  # fmt: skip
    @classmethod
    def _base_url(cls, value: str) -> str:
        return _url(value)

    @field_validator("ping_url", *WEBHOOKS)
    @classmethod
    def _ping(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(_url(value.get_secret_value()))

    @field_validator("http_bind")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value == "off":
            return ""
        if not re.fullmatch(r"(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]|localhost):\d{1,5}", value):
            raise ValueError(
                "must be a loopback address and a port, such as 127.0.0.1:8321 (there is no password on it:"
                " put a proxy with one in front), or off"
            )
        if int(value.rpartition(":")[2]) > 65535:
            raise ValueError("the port must be at most 65535")
        return value

    @field_validator("mail_from")
    @classmethod
    def _from(cls, value: str) -> str:
        return mail_address(value) if value else ""

    @field_validator("mail_to", mode="before")
    @classmethod
    def _to(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("must be addresses with a comma between them")
        return tuple(dict.fromkeys(mail_address(part) for part in parts if part.strip()))

    @field_validator("digest_at")
    @classmethod
    def _weekly(cls, value: str) -> str:
        if LocalTime.parse(value).weekday is None:
            raise ValueError(
                f"{value!r}: the digest is weekly: name a day, such as `mon 07:00 Europe/Berlin`"
            )
        return value

    @model_validator(mode="after")
    def _mail_is_safe(self) -> Settings:
        """What must hold between the settings of mail."""
        if self.smtp_host and self.mail_drop:
            raise ValueError("smtp_host and mail_drop are both set: mail leaves by one of them")
        if (self.smtp_host or self.mail_drop) and not self.mail_from:
            raise ValueError("mail_from (SPEEDUP_MAIL_FROM) is needed to send mail")
        if self.smtp_tls == "none" and self.smtp_host and not re.fullmatch(_LOCAL_HOST, self.smtp_host):
            raise ValueError("smtp_tls none is for a server on this machine only: use implicit or starttls")
        if bool(self.smtp_user) != (self.smtp_password is not None):
            raise ValueError("smtp_user and smtp_password (or SPEEDUP_SMTP_PASSWORD_FILE) belong together")
        if self.smtp_user and self.smtp_tls == "none":
            raise ValueError("smtp_user needs smtp_tls implicit or starttls: a password is not sent in clear")
        if self.mail_base_url and len(self.secret_of("mail_secret") or "") < 16:
            raise ValueError("mail_base_url needs mail_secret, 16 characters or more, to sign links with")
        return self

    def url_of(self, setting: str, default: str) -> str:
        """The base URL of a source: the one set, else the source's own."""
        return str(getattr(self, f"{setting}_url", "") or default)

    def secret_of(self, name: str | None) -> str | None:
        """A secret's value, for the HTTP client only."""
        secret = getattr(self, name, None) if name else None
        return secret.get_secret_value() if isinstance(secret, SecretStr) else None

    def database(self) -> str:
        """The database URL in force; the default is an SQLite file in the XDG data folder."""
        return self.database_url or f"sqlite:///{user_data_path(APP) / 'speedup.sqlite'}"


def pace_file() -> Path:
    """Where all processes of this user keep the pace of hosts together: a file in the XDG state folder."""
    return user_state_path(APP) / "pace.sqlite"


def load_settings(
    *,
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = None,
) -> Settings:
    """Read every layer and check the result. Raises ConfigError with all mistakes.

    ``config``: a TOML file that must exist; None: the one in the XDG config folder if it is there.
    """
    mistakes: list[str] = []
    env = dict(os.environ if environ is None else environ)
    layers = [
        _from_toml(config, mistakes),
        _from_variables(_dotenv(dotenv), mistakes),
        _from_variables(env, mistakes),
        {key: value for key, value in (overrides or {}).items() if value is not None},
    ]
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in problem["loc"])
            where = f"{name} ({PREFIX}{name.upper()}): " if name else ""
            mistakes.append(f"{where}{problem['msg']}")
        raise ConfigError(mistakes) from None
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def _dotenv(path: Path | None) -> dict[str, str]:
    found = Path(".env") if path is None else path
    if not found.is_file():
        return {}
    try:
        return {key: value for key, value in dotenv_values(found).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{found}: cannot be read: {type(error).__name__}"]) from None


def _from_variables(variables: Mapping[str, str], mistakes: list[str]) -> dict[str, Any]:
    known = {name for name in Settings.model_fields if name not in SECTIONS}
    values: dict[str, Any] = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX) or text == "":
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name.endswith("_file") and name.removesuffix("_file") in FROM_FILES:
            values.setdefault(name.removesuffix("_file"), _secret_file(variable, Path(text), mistakes))
        elif name in known:
            values[name] = text
    return values


def _secret_file(variable: str, path: Path, mistakes: list[str]) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{variable}: cannot read {path}: {type(error).__name__}")
        return None


def _from_toml(path: Path | None, mistakes: list[str]) -> dict[str, Any]:
    found = user_config_path(APP) / "config.toml" if path is None else path
    if path is None and not found.is_file():
        return {}
    try:
        values = tomllib.loads(found.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{found}: cannot be read: {type(error).__name__}")
        return {}
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"{found}: {error}")
        return {}
    for secret in SECRETS:
        if secret in values:
            values.pop(secret)
            mistakes.append(
                f"{found}: {secret}: secrets are not read from this file; use {PREFIX}{secret.upper()}"
            )
    return values


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings with secrets masked, for ``speedup doctor``."""
    shown: dict[str, Any] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) or (value is None and name in SECRETS):
            shown[name] = "set" if value is not None else "not set"
        elif name == "mail_to":
            shown[name] = f"{len(value)} addresses"
        elif isinstance(value, tuple):
            shown[name] = [str(part) for part in value]
        elif isinstance(value, BaseModel):
            shown[name] = value.model_dump()
        elif name == "jobs":
            shown[name] = {job: given.model_dump(exclude_defaults=True) for job, given in value.items()}
        else:
            shown[name] = value
    shown["database_url"] = mask_url(settings.database())
    return shown


def mask_url(url: str) -> str:
    """A database URL without its password."""
    head, separator, tail = re.sub(r"(password=)[^&]*", r"\1***", url).partition("://")
    if not separator or "@" not in tail:
        return f"{head}{separator}{tail}"
    login, _, rest = tail.rpartition("@")
    user = login.split(":", 1)[0]
    return f"{head}://{user}:***@{rest}" if ":" in login else f"{head}://{login}@{rest}"
