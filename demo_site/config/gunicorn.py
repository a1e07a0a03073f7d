"""gunicorn's settings, for `paper demo` and a lab: `gunicorn -c config/gunicorn.py config.wsgi`."""

import os
import resource
import sys
from pathlib import Path

bind = os.environ.get("SHOWCASE_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("SHOWCASE_WEB_PROCESSES", "1"))
threads = int(os.environ.get("SHOWCASE_WEB_THREADS", "8"))
timeout = 120  # a large upload over a slow line
graceful_timeout = 20
# Longer than a proxy or a visitor's pause between two pages: whoever closes first may cut off a
# request that is on its way. A kept connection holds no thread.
keepalive = 75
if workers > 1:  # a single process that begins anew would keep every visitor waiting
    max_requests = 20_000
    max_requests_jitter = 2_000
# Each visitor holds a file; the usual limit of 1,024 is no shield but an outage.
_, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True  # a socket in the home folder that nothing here uses

# Its own lines look like the site's: one JSON object each, without addresses of private batches.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
_TO_STDERR = {"level": "WARNING", "handlers": ["stderr"], "propagate": False}
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "showcase.web.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": _TO_STDERR, "gunicorn.access": _TO_STDERR},
}
