"""Turn similarities into rates and verdicts."""
