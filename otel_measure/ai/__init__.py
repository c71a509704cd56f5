"""The models: what an inference costs, how good its answers are, how healthy a model is."""
