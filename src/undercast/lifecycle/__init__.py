"""The life of a model: its ledger, states, gates, monitoring and retraining."""
