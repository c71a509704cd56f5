"""A FastAPI shop that measures itself: models, events, an experiment, and the exporter mounted at /measure.

    pip install fastapi
    uvicorn examples.shop:app
    curl localhost:8000/recommend/7; curl localhost:8000/measure/api/v1/metrics/ai/models

Any number of workers share one store:  gunicorn -w 4 -k uvicorn.workers.UvicornWorker --preload examples.shop:app
"""

from __future__ import annotations

from fastapi import FastAPI

from exporter import create_app
from otel_measure import EventType, context, get_ai_model_service, get_user_analytics_service

app = FastAPI()
ai = get_ai_model_service()
users = get_user_analytics_service()
layout = users.create_ab_test("Layout of recommendations", variants=["list", "grid"])


@ai.measure("recommender", "3")
async def recommend(user_id: int) -> list[str]:
    """Stand in for a model: the next three products after the user's own number."""
    return [f"product-{user_id + step}" for step in (1, 2, 3)]


@app.get("/recommend/{user_id}")
async def recommendations(user_id: int) -> dict[str, object]:
    """Recommend something, and know who asked: the model call below carries the user by itself."""
    with context(user_id=user_id):
        users.track_event(user_id, EventType.PAGE_VIEW, "recommendations", page_url=f"/recommend/{user_id}")
        return {"layout": users.assign_variant(layout, user_id), "products": await recommend(user_id)}


@app.post("/buy/{user_id}/{product}")
async def buy(user_id: int, product: str) -> dict[str, str]:
    """Sell one product."""
    event_id = users.track_event(user_id, EventType.PURCHASE, product, value=9.90, currency="EUR")
    users.record_ab_conversion(layout, user_id)
    return {"order": event_id}


app.mount("/measure", create_app())
