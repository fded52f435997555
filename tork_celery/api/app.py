"""The Flask application."""

from flask import Flask

from tork_celery.api import (
    audit,
    events,
    health,
    job_actions,
    jobs,
    meta,
    scheduled_jobs,
    system,
    task_lists,
    tasks,
    users,
)
from tork_celery.api.authentication import authenticate, check_access
from tork_celery.api.context import ApiContext
from tork_celery.api.cors import allow_origins
from tork_celery.api.errors import handle_errors
from tork_celery.api.rate_limit import limit_rate
from tork_celery.api.request_guard import guard_requests
from tork_celery.api.request_parsing import reject_nul_paths
from tork_celery.api.responses import JsonProvider


def create_app(api: ApiContext) -> Flask:
    """Return the application with all routes, authentication and error handling."""
    app = Flask("tork_celery.api", static_folder=None)
    app.json = JsonProvider(app)
    handle_errors(app)
    guard_requests(app, api)
    reject_nul_paths(app)
    authenticate(app, api)
    limit_rate(app, api)
    check_access(app, api)
    allow_origins(app, api.cors_origins)
    app.register_blueprint(tasks.routes(api))
    app.register_blueprint(task_lists.routes(api))
    app.register_blueprint(jobs.routes(api))
    app.register_blueprint(job_actions.routes(api))
    app.register_blueprint(system.routes(api))
    app.register_blueprint(health.routes(api))
    app.register_blueprint(scheduled_jobs.routes(api))
    app.register_blueprint(users.routes(api))
    app.register_blueprint(audit.routes(api))
    app.register_blueprint(events.routes(api))
    app.register_blueprint(meta.routes(api))
    return app
