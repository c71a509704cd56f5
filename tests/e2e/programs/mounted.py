"""Our application as others run it, in workers of theirs; the store comes from the environment."""

from exporter import create_app

app = create_app()
