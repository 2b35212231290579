"""Is the claim true? One file a benchmark; each prints its baselines in the same run, with intervals."""
