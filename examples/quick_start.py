"""Every Python call of the quick start, in its order, as one program.

    OTEL_MEASURE_STORE=quick-start.db python examples/quick_start.py

On an empty store it prints one user, one model and a test of five users; run it again and the figures add up.
"""

from otel_measure import (
    DriftStatus,
    EventType,
    ModelType,
    get_ai_model_service,
    get_infrastructure_service,
    get_user_analytics_service,
)

# ---------------------------------------------------------------- the machine

infra = get_infrastructure_service()

cpu = infra.collect_cpu_metrics()
memory = infra.collect_memory_metrics()
disk = infra.collect_disk_metrics()
network = infra.collect_network_metrics()

summary = infra.get_metrics_summary()
print(f"CPU: {summary['cpu']['current_percent']}%")
print(f"Memory: {summary['memory']['used_percent']}%")

# ---------------------------------------------------------------- a model

ai = get_ai_model_service()

ai.register_model("gpt-4", "1.0", ModelType.NLP_GENERATION)

ai.record_inference(
    model_name="gpt-4", model_version="1.0", latency_ms=150.5, input_tokens=100, output_tokens=200, cost_usd=0.005
)

latency = ai.get_latency_metrics("gpt-4", "1.0")
print(f"P95 Latency: {latency.p95_ms}ms")

# ---------------------------------------------------------------- a user

analytics = get_user_analytics_service()

analytics.track_event(user_id=123, event_type=EventType.PAGE_VIEW, event_name="home_page", page_url="/home")

engagement = analytics.get_engagement_metrics()
print(f"DAU: {engagement.dau}, MAU: {engagement.mau}")

# ---------------------------------------------------------------- use cases: 1. the machine's health

infra = get_infrastructure_service()
summary = infra.get_metrics_summary()

if summary["status"] == "critical":
    print("⚠️ System in critical state!")
    print(f"CPU: {summary['cpu']['current_percent']}%")
    print(f"Memory: {summary['memory']['used_percent']}%")

# ---------------------------------------------------------------- 2. a model's performance

ai = get_ai_model_service()
snapshot = ai.get_model_performance_snapshot("gpt-4", "1.0")

print(f"Health Score: {snapshot.health_score}/100")
print("Recommendations:")
for rec in snapshot.recommendations:
    print(f"  - {rec}")

# ---------------------------------------------------------------- 3. what users do

analytics = get_user_analytics_service()

engagement = analytics.get_engagement_metrics()
print(f"Daily Active Users: {engagement.dau}")

conversion = analytics.get_conversion_metrics()
print(f"Conversion Rate: {conversion.conversion_rate * 100}%")

retention = analytics.get_retention_metrics()
print(f"Day 7 Retention: {retention.day_7_retention * 100}%")

# ---------------------------------------------------------------- 4. drift

ai = get_ai_model_service()
drift = ai.detect_model_drift("gpt-4", "1.0")

if drift and drift.drift_status != DriftStatus.NO_DRIFT:
    print(f"⚠️ Model drift detected: {drift.drift_status.value}")
    print(f"Drift Score: {drift.drift_score}")
    print("Recommendation: Retrain model with recent data")

# ---------------------------------------------------------------- 5. an A/B test

analytics = get_user_analytics_service()

test_id = analytics.create_ab_test(test_name="New Homepage", variants=["control", "variant_a"])

for user_id in [1, 2, 3, 4, 5]:
    variant = analytics.assign_variant(test_id, user_id)
    print(f"User {user_id} assigned to {variant}")

analytics.record_ab_conversion(test_id, user_id=1)

results = analytics.get_ab_test_results(test_id)
print(f"Control Rate: {results.control_conversion_rate}")
print(f"Variant A Rate: {results.variant_conversion_rates['variant_a']}")

# ---------------------------------------------------------------- background collection, and availability

service = get_infrastructure_service()
service.start_background_collection()

service.register_service("my-api", sla_target=99.9)

service.record_service_down("my-api")

service.record_service_up("my-api")

availability = service.get_availability_metrics("my-api")
print(f"Availability: {availability.availability_percent}%")
print(f"SLA Compliance: {availability.sla_compliance}")
