"""Settings of the showcase; everything a lab changes comes from the environment.

Without any variable this is the site on loopback: SQLite (WAL), files in `demo_site/var/`. The
variables are listed in `demo_site/README.md`.
"""

from __future__ import annotations

import re
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from . import environment as env

SITE = Path(__file__).resolve().parents[1]  # demo_site/
CHECKOUT = SITE.parent
VAR = Path(env.text("SHOWCASE_VAR") or SITE / "var").resolve()

DEBUG = env.flag("SHOWCASE_DEBUG")
SECRET_KEY = env.secret_key(VAR)
ALLOWED_HOSTS = env.words("SHOWCASE_HOSTS", "localhost 127.0.0.1 [::1]")
CSRF_TRUSTED_ORIGINS = env.words("SHOWCASE_ORIGINS")

INSTALLED_APPS = [
    "showcase",  # before the administration, whose pages get this site's head
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django_htmx",
    "ninja",  # the page of its description, with scripts and styles from here
]

MIDDLEWARE = [
    "showcase.web.middleware.Health",
    "showcase.web.middleware.LogRequests",
    "django.middleware.security.SecurityMiddleware",
    "showcase.web.middleware.ContentSecurityPolicy",
    "showcase.web.middleware.Bodies",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "showcase.web.sign_in.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
CSRF_FAILURE_VIEW = "showcase.web.views.errors.csrf_failure"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "showcase.web.context.site",
            ],
        },
    }
]

# --- database -------------------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL") or f"sqlite:///{VAR / 'showcase.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Readers never wait for the writer; a writer takes its lock at once and waits for it,
        # instead of failing at the first write of a transaction that began as a reader.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
        "PRAGMA cache_size=-32000; PRAGMA mmap_size=268435456; PRAGMA wal_autocheckpoint=4000;",
        "transaction_mode": "IMMEDIATE",
        "timeout": env.number("SHOWCASE_DATABASE_PATIENCE", 20),
    }
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

# --- files ----------------------------------------------------------------------------------------
# One storage for the upload copies and the gallery's copies. Neither has a public address: the
# site hands out the gallery's copies itself, the upload copies never.
MEDIA_ROOT = VAR / "files"
if env.text("SHOWCASE_S3_BUCKET"):
    from botocore.config import Config

    _STORE = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": env.text("SHOWCASE_S3_BUCKET"),
            "endpoint_url": env.text("SHOWCASE_S3_ENDPOINT") or None,
            "region_name": env.text("SHOWCASE_S3_REGION") or None,
            "location": env.text("SHOWCASE_S3_PREFIX"),
            "default_acl": None,  # private
            "file_overwrite": True,  # our names are unique; asking first would cost a request
            "querystring_auth": True,
            # A store that is away is said to be, instead of holding a visitor for minutes.
            "client_config": Config(
                connect_timeout=2,
                read_timeout=10,
                retries={"max_attempts": 2, "mode": "standard"},
            ),
        },
    }
else:
    _STORE = {
        "BACKEND": "showcase.storage.AtomicStorage",
        "OPTIONS": {"location": str(MEDIA_ROOT), "file_permissions_mode": 0o600},
    }
STORAGES = {
    "default": _STORE,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# `paper demo` needs no collectstatic: the files are then found where they lie.
if env.flag("SHOWCASE_LOOPBACK", default=DEBUG):
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    WHITENOISE_USE_FINDERS = True
    WHITENOISE_AUTOREFRESH = DEBUG

# --- languages ------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.text("SHOWCASE_TIME_ZONE", "UTC")

# --- security -------------------------------------------------------------------------------------
HTTPS = env.flag("SHOWCASE_HTTPS")
PROXIES = env.number("SHOWCASE_PROXIES", 0)  # how many trusted proxies append X-Forwarded-For
# From where that header is believed: machines of one's own, unless it is said otherwise.
PROXY_NETWORKS = env.words(
    "SHOWCASE_PROXY_NETWORKS", "127.0.0.0/8 ::1 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"
)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # our pages send the token of the form, no script reads the cookie
LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # the address of a private batch stays on this site
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECOND_FACTOR = env.flag("SHOWCASE_SECOND_FACTOR")  # of every account; else of those that have one
OTP_TOTP_ISSUER = "Chip showcase"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
EMBEDDED_BY = env.words("SHOWCASE_EMBEDDED_BY")  # origins whose pages may show some of this site's
if bad := [word for word in EMBEDDED_BY if not re.fullmatch(r"https?://[\w.*-]+(:\d+)?", word)]:
    raise ImproperlyConfigured(f"SHOWCASE_EMBEDDED_BY: {bad[0]!r} is no origin as https://lab.org")
if HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    # It holds for all names below this one, and for years: only where that was said.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.flag("SHOWCASE_HSTS_SUBDOMAINS")
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # ask for the two above
    if PROXIES:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- limits: see showcase/limits.py ---------------------------------------------------------------
DATA_UPLOAD_MAX_NUMBER_FILES = 520
DATA_UPLOAD_MAX_NUMBER_FIELDS = 600
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # of everything that is not a file
FILE_UPLOAD_TEMP_DIR = VAR / "incoming"  # /tmp is memory on many systems
FILE_UPLOAD_TEMP_DIR.mkdir(exist_ok=True)
FILE_UPLOAD_HANDLERS = ["showcase.web.upload_handlers.IntoTheStore"]

METRICS = env.flag("SHOWCASE_METRICS")  # /metrics, for whoever can reach it
UPLOADS_PER_HOUR = env.number("SHOWCASE_UPLOADS_PER_HOUR", 60)  # 0 lifts the others, too
SHOWCASE = {
    # the predictor: a released model's name or folder for paperlib.predictor.load …
    "MODEL": env.text("SHOWCASE_MODEL", "planet32"),
    # … or the dotted path of a function without arguments that returns a predictor (tests)
    "PREDICTOR": env.text("SHOWCASE_PREDICTOR"),
    "RESULTS": Path(env.text("SHOWCASE_RESULTS") or CHECKOUT / "results"),
    "REPORT_URL": env.text("SHOWCASE_REPORT_URL"),
    "MAX_FILES": env.number("SHOWCASE_MAX_FILES", 500, least=1),
    "MAX_FILE_MB": env.number("SHOWCASE_MAX_FILE_MB", 64, least=0.1),
    "MAX_BATCH_MB": env.number("SHOWCASE_MAX_BATCH_MB", 1024, least=0.1),
    "MAX_MEGAPIXELS": env.number("SHOWCASE_MAX_MEGAPIXELS", 100, least=0.1),
    "MAX_CHIPS": env.number("SHOWCASE_MAX_CHIPS", 20_000, least=1),
    "CHIP_PIXELS": env.number("SHOWCASE_CHIP_PIXELS", 256, least=16),
    "READ_SECONDS": env.number("SHOWCASE_READ_SECONDS", 30, least=0.1),
    "BATCH_READ_SECONDS": env.number("SHOWCASE_BATCH_READ_SECONDS", 900, least=0.1),
    "READ_MEGABYTES": env.number("SHOWCASE_READ_MEGABYTES", 2048, least=512),
    "HEARTBEAT_SECONDS": env.number("SHOWCASE_HEARTBEAT_SECONDS", 2, least=0.05),
    "LOST_SECONDS": env.number("SHOWCASE_LOST_SECONDS", 30, least=0.2),
    "SLICE_SECONDS": env.number("SHOWCASE_SLICE_SECONDS", 10, least=0.1),
    "EXAMPLES": env.number("SHOWCASE_EXAMPLES", 48),
    # events per hour and address; 0 lifts a limit
    "UPLOADS_PER_HOUR": UPLOADS_PER_HOUR,
    "FILES_PER_HOUR": env.number("SHOWCASE_FILES_PER_HOUR", 200 * UPLOADS_PER_HOUR),
    "MEGABYTES_PER_HOUR": env.number("SHOWCASE_MEGABYTES_PER_HOUR", 200 * UPLOADS_PER_HOUR),
    "CHIPS_PER_HOUR": env.number("SHOWCASE_CHIPS_PER_HOUR", 800 * UPLOADS_PER_HOUR),
    "READ_SECONDS_PER_HOUR": env.number("SHOWCASE_READ_SECONDS_PER_HOUR", 30 * UPLOADS_PER_HOUR),
    "RETRIES_PER_HOUR": env.number("SHOWCASE_RETRIES_PER_HOUR", UPLOADS_PER_HOUR),
    "FLAGS_PER_HOUR": env.number("SHOWCASE_FLAGS_PER_HOUR", 120),
    "LOGINS_PER_HOUR": env.number("SHOWCASE_LOGINS_PER_HOUR", 20),
    "KEY_REQUESTS_PER_HOUR": env.number("SHOWCASE_KEY_REQUESTS_PER_HOUR", 600),
}

# --- logs: one JSON object a line -----------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "showcase.web.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.text("SHOWCASE_LOG_LEVEL", "WARNING").upper()},
    "loggers": {
        "showcase": {"level": env.text("SHOWCASE_LOG_LEVEL", "INFO").upper()},
        "django.request": {"level": "ERROR"},
    },
}
