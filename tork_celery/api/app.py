"""The Flask app."""

from flask import Flask

from tork_celery.api import jobs, meta, scheduled_jobs, system, tasks, users
from tork_celery.api.authentication import authenticate
from tork_celery.api.context import ApiContext
from tork_celery.api.cors import allow_origins
from tork_celery.api.errors import handle_errors
from tork_celery.api.request_parsing import refuse_nul


def create_app(api: ApiContext) -> Flask:
    app = Flask("tork_celery.api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a document reads in the order it is written in
    handle_errors(app)
    refuse_nul(app)
    authenticate(app, api)
    allow_origins(app, api.cors_origins)
    app.register_blueprint(tasks.routes(api))
    app.register_blueprint(jobs.routes(api))
    app.register_blueprint(system.routes(api))
    app.register_blueprint(scheduled_jobs.routes(api))
    app.register_blueprint(users.routes(api))
    app.register_blueprint(meta.routes(api))
    return app
