"""What theory expects of a run, whether the run is at rest, and the verdicts on what was measured."""
