"""Settings: everything comes from the environment, and a wrong value stops start-up by its name."""

from pathlib import Path

from django.utils.translation import gettext_lazy as _

from portal import environment, logs
from portal.api.options import REST_FRAMEWORK as REST_FRAMEWORK
from portal.api.options import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from portal.appearance import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(environment.text("TOLLGATE_VAR", default=str(BASE_DIR / "var")))
DEBUG = environment.flag("TOLLGATE_DEBUG", default=False)

SECRET_KEY = environment.secret("TOLLGATE_SECRET_KEY", min_length=50)
KEY_PEPPERS = environment.versioned_secrets("TOLLGATE_KEY_PEPPERS")
"""Versioned peppers for key MACs: `1:<64 hex>,2:<64 hex>`; the highest version signs."""
SEALING_KEYS = environment.versioned_secrets("TOLLGATE_SEALING_KEYS")
"""Versioned AES-256 keys for secrets at rest, in the same form."""

# Which hosts are ours is decided by the domain table (portal.middleware), not by a setting.
ALLOWED_HOSTS = ["*"]
USE_X_FORWARDED_HOST = False

INSTALLED_APPS = [
    "portal",
    "relay",
    "billing",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "portal.apps.AdminConfig",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "portal.middleware.RequestIdMiddleware",
    "portal.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.StaticFilesMiddleware",
    "portal.middleware.TenantMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "portal.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.AdminScopeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.app"
WSGI_APPLICATION = None

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.shop",
            ]
        },
    }
]

# Database: SQLite by default, PostgreSQL by DATABASE_URL.

DATABASES = {
    "default": environment.database(
        "DATABASE_URL", default=f"sqlite:///{STATE_DIR / 'tollgate.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A deferred transaction that turns into a writer fails at once; an immediate one waits.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
            # Without it INSERT OR REPLACE deletes rows past the guards of append-only tables.
            "PRAGMA recursive_triggers=ON;"
        ),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "billing.User"

# Ledger and relay.

BASE_TOKEN_USD_PER_MILLION = environment.decimal(
    "TOLLGATE_BASE_TOKEN_USD_PER_MILLION", default="1.50"
)
HOLD_STALE_S = environment.seconds("TOLLGATE_HOLD_STALE_S", default=60.0)
REAPER_PERIOD_S = environment.seconds("TOLLGATE_REAPER_PERIOD_S", default=15.0)
HEARTBEAT_PERIOD_S = environment.seconds(
    "TOLLGATE_HEARTBEAT_PERIOD_S", default=min(15.0, HOLD_STALE_S / 4), at_most=HOLD_STALE_S / 2
)
SNAPSHOT_PERIOD_S = environment.seconds("TOLLGATE_SNAPSHOT_PERIOD_S", default=0.5)
DRAIN_S = environment.seconds("TOLLGATE_DRAIN_S", default=20.0)
MAX_BODY_BYTES = environment.whole("TOLLGATE_MAX_BODY_BYTES", default=10 * 1024 * 1024)
MAX_UPLOAD_BYTES = environment.whole("TOLLGATE_MAX_UPLOAD_BYTES", default=27 * 1024 * 1024)
RECEIVE_S = environment.seconds("TOLLGATE_RECEIVE_S", default=60.0)
STALLED_READER_S = environment.seconds("TOLLGATE_STALLED_READER_S", default=120.0)
KEEPALIVE_S = environment.seconds("TOLLGATE_KEEPALIVE_S", default=0.0, may_be_zero=True)
MAX_BODIES_MB = environment.whole("TOLLGATE_MAX_BODIES_MB", default=256)
MAX_IN_FLIGHT = environment.whole("TOLLGATE_MAX_IN_FLIGHT", default=2_000)
TRUSTED_PROXIES = environment.networks("TOLLGATE_TRUSTED_PROXIES")

# Shop.

DEMO_PAYMENTS = environment.flag("TOLLGATE_DEMO_PAYMENTS", default=DEBUG)
"""Offers a payment method that moves no money. For development and demonstrations alone."""
PAYMENT_PRIVATE_NETWORK = environment.flag("TOLLGATE_PAYMENT_PRIVATE_NETWORK", default=False)
"""Lets payment gateways be at private addresses, which a shop's staff could name otherwise."""
STRIPE_API = environment.api_base("TOLLGATE_STRIPE_API")
"""Where Stripe's API is asked; empty is Stripe's own address."""

# Jobs.

REDIS_URL = environment.redis_url("REDIS_URL", default="redis://127.0.0.1:6379/0")

# Mail.

_MAIL = environment.mail_route(
    "TOLLGATE_EMAIL_URL", default=(STATE_DIR / "mail").absolute().as_uri()
)
EMAIL_BACKEND = _MAIL.backend
EMAIL_HOST, EMAIL_PORT = _MAIL.host, _MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.user, _MAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.starttls, _MAIL.tls
EMAIL_FILE_PATH = _MAIL.folder
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.email_address(
    "TOLLGATE_MAIL_FROM", default=None if EMAIL_HOST else "shop@localhost.localdomain"
)
PUBLIC_PORT = environment.whole("TOLLGATE_PUBLIC_PORT", default=0, at_least=0)
"""The port that browsers use, for links in mails; 0 is the usual one of the scheme."""

# Pages.

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Chinese")), ("en", _("English"))]
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = False
FORMAT_MODULE_PATH = ["portal.formats"]

STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Behind a proxy that ends TLS, which is said by TOLLGATE_HTTPS. The proxy redirects.
HTTPS = environment.flag("TOLLGATE_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # SecurityHeadersMiddleware sends X-Frame-Options
    "security.W005",  # whose subdomains are whose is the domain owner's business
    "security.W008",  # the proxy redirects; /healthz must answer without TLS
    "security.W021",  # nor is preloading ours to decide
]

SESSION_ENGINE = "portal.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
CSRF_FAILURE_VIEW = "portal.views.errors.csrf_failure"
PASSWORD_RESET_TIMEOUT = 15 * 60
"""How long a mailed link signs in, in seconds. Nothing else is signed this way: no page resets."""
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Logs.

LOGGING = logs.configuration(
    level=environment.choice(
        "TOLLGATE_LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )
)
