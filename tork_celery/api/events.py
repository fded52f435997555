"""The route of event streams."""

from flask import Blueprint, Response, request

from tork_celery.api.authentication import current_user
from tork_celery.api.context import ApiContext
from tork_celery.api.front.streams import STREAM_KEY, StreamRequest
from tork_celery.api.request_parsing import parse_tail, parse_topics
from tork_celery.domain.streams import ENDED, decode_positions
from tork_celery.services.streams import subscriptions


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("events", __name__)

    @blueprint.get("/events")
    def get_events() -> Response:
        topics, tail = parse_topics(request), parse_tail(request)
        last_id = request.headers.get("Last-Event-ID") or request.args.get("after")
        positions = None if last_id is None else decode_positions(last_id, topics)
        open_topics = [topic for topic in topics if (positions or {}).get(topic) != ENDED]
        if not open_topics:
            return Response(status=204)
        found = subscriptions.find(api.services.database, open_topics, current_user())
        response = Response(content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        if request.method == "GET":
            release = api.stream_seats.take()
            streams = request.environ.setdefault(STREAM_KEY, [])
            streams.append(
                StreamRequest(
                    subscriptions=found,
                    viewer=current_user(),
                    positions=positions,
                    tail=tail,
                    release=release,
                )
            )
        return response

    return blueprint
