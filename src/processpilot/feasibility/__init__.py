"""Whether a plan can hold: contradictions, gaps and arithmetic found before the disaster."""
