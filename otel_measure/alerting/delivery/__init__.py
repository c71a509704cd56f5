"""How notifications reach somebody: a webhook, Slack, an Alertmanager, and a heartbeat that somebody else watches."""
