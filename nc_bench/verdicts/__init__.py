"""What theory expects of a run, whether the run has converged, and the verdicts on what was measured."""
