"""What those with Prometheus and Grafana get: rules, their unit tests and dashboards, written from tables."""
