"""The routes: which path answers what. They check nothing and know no SQL: `wire` says what a valid request is, `store`
what becomes of it, and whatever either refuses becomes a problem+json in `app`.

The handlers are plain `def`, because the database's driver blocks: FastAPI runs each in a thread of its own, and the
event loop goes on. Each opens its transaction itself, so the commit is done before the answer leaves. (Events are the
exception: a stream that is open for an hour would hold a thread for an hour.)
"""

from . import curves, events, experiments, health, keys, runs, session
from .route import router

__all__ = ["curves", "events", "experiments", "health", "keys", "router", "runs", "session"]
